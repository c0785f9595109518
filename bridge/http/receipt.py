"""What became of the articles of one request: as long as they are many, and yet never held in memory."""

from __future__ import annotations

import tempfile
from collections import Counter
from typing import Literal

import msgspec
from aiohttp import web

from bridge.client.intake import Taken
from bridge.http import deliver
from schemas.codec import encode
from schemas.errors import BadRequest, ErrorDetail, LlmError, Unavailable, Unprocessable

# Beyond it, outcomes wait on the disk for their articles' end.
_IN_MEMORY = 1024 * 1024
_PIECE = 64 * 1024
_RETRY_AFTER = 5


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one article; `line` counts from 1, in an array its place."""

    line: int
    status: Literal["queued", "waiting already", "analysed already", "refused", "not sent"]
    id: str | None = None
    error: ErrorDetail | None = None


class Counts(msgspec.Struct, frozen=True):
    """How many of each."""

    queued: int = 0
    waiting_already: int = 0
    analysed_already: int = 0
    refused: int = 0
    not_sent: int = 0


class Receipt(msgspec.Struct, frozen=True):
    """Each article's outcome, in order."""

    counts: Counts
    data: list[Outcome]
    object: str = "list"


class Ledger:
    """Hears of each article, and then answers."""

    def __init__(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._counts: Counter[str] = Counter()
        self._refusal: LlmError | None = None
        self._stop: LlmError | None = None
        self._resume = 1

    def add(self, taken: Taken) -> None:
        error = taken.error.body().error if taken.error else None
        self._spool.write(b"," if self._counts.total() else b"")
        self._spool.write(encode(Outcome(taken.line, taken.status, taken.id, error)))
        self._counts[taken.status] += 1
        if taken.status == "refused":
            self._refusal = self._refusal or taken.error
        if taken.status == "not sent":
            self._stop = self._stop or taken.error
        elif self._stop is None:
            self._resume = taken.line + 1

    def stop(self, error: LlmError) -> None:
        """What follows was not even read."""
        self._stop = self._stop or error

    async def send(self, request: web.Request) -> web.StreamResponse:
        """202 when at least one article is known now, else the error of all."""
        error = self._error()
        counts = encode(Counts(**{name.replace(" ", "_"): count for name, count in self._counts.items()}))
        head = b'"object":"list","counts":%b,"data":[' % counts
        head = b"{" + (encode(error.body())[1:-1] + b"," if error else b"") + head
        response = web.StreamResponse(status=error.status if error else 202)
        response.content_type = "application/json"
        if error is not None and error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        response.content_length = len(head) + self._spool.tell() + 2
        await response.prepare(request)
        self._spool.seek(0)
        await deliver.write(request, head)
        while piece := self._spool.read(_PIECE):
            await deliver.write(request, piece)
        await deliver.write(request, b"]}")
        return response

    def close(self) -> None:
        self._spool.close()

    def _error(self) -> LlmError | None:
        total, refused = self._counts.total(), self._counts["refused"]
        if self._stop is not None:
            return self._stopped(self._stop, total - refused - self._counts["not sent"])
        if self._refusal is None:
            return None if total else BadRequest("There is no article in it.", code="no_article")
        if refused < total:
            return None
        return _of_all(self._refusal, total)

    def _stopped(self, why: LlmError, known: int) -> LlmError:
        far = f"{known} articles are known here; send line {self._resume} and what follows again."
        after = why.retry_after or (_RETRY_AFTER if isinstance(why, Unavailable) else None)
        return type(why)(f"{why.message} {far}", param=why.param, code=why.code, retry_after=after)


def _of_all(first: LlmError, total: int) -> LlmError:
    """Not one of them can be taken. What can be read, and is no article, is told apart from what is no JSON."""
    readable = isinstance(first, BadRequest) and first.code != "invalid_json"
    kind = Unprocessable if readable else type(first)
    message = f"None of the {total} can be taken; the first: {first.message}" if total > 1 else first.message
    return kind(message, param=first.param, code=first.code)
