"""An input file line by line, before anything of it runs: all that is wrong with it, by its line's number."""

from __future__ import annotations

import hashlib

from bridge import depth
from bridge.batches.endpoints import ENDPOINTS, Told
from schemas import streams, subjects, wire
from schemas.batches import MAX_LINES, BatchError, Line
from schemas.codec import decode
from schemas.errors import BadRequest, LlmError, short

# So many faults are told; with the next one the rest of the file is not looked at.
MOST_FAULTS = 100
_LONGEST_REASON, _LONGEST_PARAM = 300, 100  # characters
# A line longer than this has too long a body, whatever else it holds.
LONGEST = streams.BATCH_LINES.max_msg_size + 64 * 1024
_BOM = b"\xef\xbb\xbf"


def parse(number: int, text: bytes) -> Line:
    """Raises BadRequest."""
    try:
        return decode(Line, text.removeprefix(_BOM) if number == 1 else text)
    except BadRequest as error:
        if error.code == "invalid_json":
            raise _bad("invalid_json_line", "The line is not valid JSON in UTF-8.") from None
        raise


class Check:
    """Hears each line once, in order. `refused` of them are no request of the endpoint: each has its own error then."""

    def __init__(self, endpoint: str) -> None:
        self.faults: list[BatchError] = []
        self.total = 0
        self.refused = 0
        self.model: str | None = None
        self._endpoint = endpoint
        self._request = ENDPOINTS[endpoint].request
        self._most = streams.BATCH_LINES.max_msg_size - wire.header_size(
            {subjects.API: ENDPOINTS[endpoint].api}
        )
        self._ids: set[bytes] = set()
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether there is enough to know that the file cannot be taken."""
        return self._ended or len(self.faults) >= MOST_FAULTS

    def line(self, text: bytes) -> None:
        self.total += 1
        if self.total > MAX_LINES:
            self._ended = True
            reason = f"The file has more than {MAX_LINES:,} requests; send them as several batches."
            self.faults.append(BatchError("too_many_tasks", reason))
            return
        try:
            self._line(text)
        except LlmError as error:
            self.faults.append(_fault(error, self.total))

    def end(self) -> None:
        if not self.total:
            reason = "The file is empty: a batch needs at least one request."
            self.faults.append(BatchError("empty_file", reason))

    def _line(self, text: bytes) -> None:
        if not text.strip():
            raise _bad("invalid_json_line", "The line is empty; each must be one request.")
        if len(text) >= LONGEST:
            raise _too_long(len(text), self._most)
        line = parse(self.total, text)
        self._envelope(line)
        body = bytes(line.body)
        self._body(body)
        try:
            request = self._request(body)
        except LlmError:
            self.refused += 1
            return
        if len(request) > self._most:
            raise _too_long(len(request), self._most)

    def _envelope(self, line: Line) -> None:
        if line.method != "POST":
            raise _bad("invalid_method", f"`{line.method}` is no method of a batch; it is `POST`.", "method")
        if line.url != self._endpoint:
            raise _bad(
                "url_mismatch", f"`{line.url}` is not the batch's endpoint, `{self._endpoint}`.", "url"
            )
        # 50,000 ids of any length.
        digest = hashlib.blake2b(line.custom_id.encode(), digest_size=16).digest()
        if digest in self._ids:
            reason = (
                f"The custom_id `{line.custom_id}` is another line's already; it must be unique in its batch."
            )
            raise _bad("duplicate_custom_id", reason, "custom_id")
        self._ids.add(digest)

    def _body(self, body: bytes) -> None:
        if not body.startswith(b"{"):
            raise _bad("invalid_value", "`body` must be an object: what the endpoint takes.", "body")
        depth.check(body)
        told = decode(Told, body)
        if told.stream is True:
            raise _bad(
                "invalid_value", "A line of a batch cannot be streamed: leave `stream` out.", "body.stream"
            )
        model = told.model if isinstance(told.model, str) else None
        if self.total == 1:
            self.model = model
        elif model != self.model:
            names = " and ".join(f"`{name}`" if name else "the default one" for name in (self.model, model))
            raise _bad(
                "model_mismatch", f"All lines of a batch ask for one model; here are {names}.", "body.model"
            )


def _fault(error: LlmError, line: int) -> BatchError:
    """All that are told have to fit into the one message that a batch is."""
    param = error.param and short(error.param, _LONGEST_PARAM)
    return BatchError(error.code or "invalid_value", short(error.message, _LONGEST_REASON), param, line)


def _bad(code: str, reason: str, param: str | None = None) -> BadRequest:
    return BadRequest(reason, param=param, code=code)


def _too_long(size: int, most: int) -> BadRequest:
    return _bad(
        "request_too_large", f"The request has {size:,} bytes or more; {most:,} are the most.", "body"
    )
