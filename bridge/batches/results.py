"""What lines came to: counted as they end, and put together with their requests for the batch's files. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from bridge.batches.check import parse
from bridge.batches.endpoints import ENDPOINTS, Place
from schemas.batches import Batch, LineFault, LineResponse, OutputLine, add_usage
from schemas.codec import decode, encode
from schemas.completion import Usage
from schemas.errors import LlmError
from schemas.responses.response import ResponseUsage

_OK = 200
_EXPIRED = LineFault(
    "batch_expired", "This request could not be executed before the completion window expired."
)
_CANCELLED = LineFault("batch_cancelled", "The batch was cancelled before this request was executed.")


class _Answer(msgspec.Struct, frozen=True):
    usage: Usage


class Tally:
    """Counts results of lines that ran."""

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.usage: ResponseUsage | None = None

    @property
    def done(self) -> int:
        return self.completed + self.failed

    def add(self, result: bytes) -> None:
        found = decode(LineResponse[msgspec.Raw], result)
        if found.status_code != _OK:
            self.failed += 1
            return
        self.completed += 1
        self.usage = add_usage(self.usage, decode(_Answer, bytes(found.body)).usage)


class Ended(NamedTuple):
    """A line of a file; `fate` says of which, and how it counts."""

    fate: str
    text: bytes


class Compiler:
    """Makes output lines of one batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._endpoint = ENDPOINTS[batch.endpoint]
        self._missing = _CANCELLED if batch.status == "cancelling" else _EXPIRED

    @property
    def api(self) -> str:
        return self._endpoint.api

    def request(self, number: int, text: bytes) -> bytes | None:
        """What is to be put onto the queue; None where the line ends without it."""
        try:
            return self._endpoint.request(bytes(parse(number, text).body))
        except LlmError:
            return None

    def ended(self, number: int, text: bytes, result: bytes | None) -> Ended:
        place = Place(self._batch.id, number)
        line = parse(number, text)
        try:
            response = self._response(place, bytes(line.body), result)
        except LlmError as error:
            body = msgspec.Raw(encode(error.body()))
            response = LineResponse(error.status, place.name("req"), body)
        fault = None if response else self._missing
        told = OutputLine(place.name("batch_req"), line.custom_id, response, fault)
        fate = "missing" if response is None else "completed" if response.status_code == _OK else "failed"
        return Ended(fate, encode(told) + b"\n")

    def _response(self, place: Place, body: bytes, result: bytes | None) -> LineResponse[msgspec.Raw] | None:
        if result is None:
            self._endpoint.request(body)  # raises for one that was never put onto the queue
            return None
        found = decode(LineResponse[msgspec.Raw], result)
        answer = bytes(found.body)
        well = found.status_code == _OK
        told = self._endpoint.answer(place, body, answer) if well else self._endpoint.error(answer)
        return LineResponse(found.status_code, found.request_id, msgspec.Raw(told))
