"""Where lines of batches end: exactly one result each, an answer or the error that took its place."""

from __future__ import annotations

import uuid

import msgspec
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg

from schemas import streams, subjects
from schemas.batches import LineResponse
from schemas.codec import encode
from schemas.errors import LlmError, TooLarge
from schemas.runtime import log as logs
from worker.transport.ends import Ends, Original

log = logs.get("worker.outcomes")


class Outcomes(Ends):
    """Writes to BATCH_RESULTS."""

    async def has(self, msg: Msg) -> bool:
        return await self._result(msg.subject, direct=True) is not None

    async def answer(self, msg: Msg, request_id: str, answer: msgspec.Struct) -> None:
        """Store an answer; a result that is there already stays. Raises TooLarge."""
        payload = encode(LineResponse(200, request_id, answer))
        if len(payload) > streams.BATCH_RESULTS.max_msg_size:
            reason = (
                f"The answer has {len(payload)} bytes; a line's may have {streams.BATCH_RESULTS.max_msg_size}"
            )
            raise TooLarge(f"{reason}: ask for less of it.", code="answer_too_large")
        await self._store_once(Original.of(msg), subjects.result_of(msg.subject), payload)

    async def bury(self, original: Original, error: LlmError) -> None:
        """The line's error, as its request alone would have been answered."""
        payload = encode(LineResponse(error.status, uuid.uuid4().hex, error.body()))
        if await self._store_once(original, subjects.result_of(original.subject), payload):
            log.warning("line_failed", subject=original.subject, status=error.status, error=error.message)

    async def ended(self, original: Original) -> bool:
        return await self._result(original.subject) is not None

    async def _result(self, line: str, *, direct: bool = False) -> RawStreamMsg | None:
        return await self._last(streams.BATCH_RESULTS.name, subjects.result_of(line), direct=direct)
