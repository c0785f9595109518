"""Where queued work ends: exactly one end for each message, stored before the message is let go."""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import ABC, abstractmethod
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.errors import (
    ConnectionReconnectingError,
    MaxPayloadError,
    NoRespondersError,
    OutboundBufferLimitError,
    StaleConnectionError,
)
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from schemas import subjects, trace
from schemas.errors import LlmError, TooLarge
from schemas.jetstream import EXPECTED_LAST, NO_MESSAGE, WRONG_LAST_SEQUENCE
from schemas.runtime import log as logs
from worker.transport import suspects

log = logs.get("worker.ends")

_ACK_TRIES = 3
_PASSING = (
    TimeoutError,
    NoRespondersError,
    NoStreamResponseError,
    OutboundBufferLimitError,
    ConnectionReconnectingError,
    StaleConnectionError,
)
# A server that is away or has no room on its disk is asked again after so many seconds.
_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Original:
    """A message as it lies on its queue, and how often it was delivered since it was published."""

    stream: str
    subject: str
    sequence: int
    payload: bytes
    headers: dict[str, str]
    published: dt.datetime | None
    deliveries: int

    @classmethod
    def of(cls, msg: Msg) -> Original:
        found = msg.metadata
        return cls(
            found.stream,
            msg.subject,
            found.sequence.stream,
            msg.data,
            msg.headers or {},
            found.timestamp,
            suspects.deliveries(msg),
        )

    @classmethod
    def stored(cls, stream: str, found: RawStreamMsg, deliveries: int) -> Original:
        """One that nobody has in work."""
        return cls(
            stream,
            found.subject or "",
            found.seq or 0,
            found.data or b"",
            found.headers or {},
            found.time,
            deliveries,
        )


class Ends(ABC):
    """Writes the ends of one queue. Every write waits for the server's acknowledgement, however long it takes:
    the queue keeps the message ours meanwhile, and neither its answer nor a delivery is wasted.
    """

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    @abstractmethod
    async def bury(self, original: Original, error: LlmError) -> None:
        """Store why a message, which need not be in work, ends here without what was asked for."""

    @abstractmethod
    async def ended(self, original: Original) -> bool:
        """Whether a message has its end, and only its acknowledgement was lost."""

    async def settle(self, msg: Msg) -> None:
        """Let the message go. If that cannot be confirmed it comes again, and ends at "already there"."""
        for _ in range(_ACK_TRIES):
            try:
                await msg.ack_sync(timeout=5)
                return
            except NatsError as error:
                log.warning("ack_unconfirmed", subject=msg.subject, error=str(error))

    async def remove(self, stream: str, sequence: int) -> None:
        """One message; where somebody else was quicker, it is gone as well."""
        try:
            await self._js.delete_msg(stream, sequence)
        except APIError as error:
            if error.err_code not in NO_MESSAGE:
                raise

    async def _gone(self, original: Original) -> bool:
        """Whether it has ended elsewhere while this worker slept: then nothing of ours counts any more.

        Not a direct get: in a cluster any replica answers those, and one that lags would have us let it go.
        """
        try:
            await self._js.get_msg(original.stream, original.sequence)
        except NotFoundError:
            log.info("ended_elsewhere", subject=original.subject)
            return True
        return False

    async def _last(self, stream: str, subject: str, *, direct: bool = False) -> RawStreamMsg | None:
        try:
            return await self._js.get_last_msg(stream, subject, direct=direct)
        except NotFoundError:
            return None

    async def _store_once(self, original: Original, subject: str, payload: bytes) -> bool:
        """As _store(); what is there already stays, and False is said of that, too."""
        try:
            return await self._store(original, subject, payload, {EXPECTED_LAST: "0"})
        except APIError as error:
            if error.err_code != WRONG_LAST_SEQUENCE:
                raise
            log.info("end_exists", subject=subject)
            return False

    async def _store(self, original: Original, subject: str, payload: bytes, headers: dict[str, str]) -> bool:
        """With the message's trace. False when it has ended meanwhile; an earlier try may have come through all the
        same. Raises APIError for what the server will never take, TooLarge for what it cannot.
        """
        while True:
            try:
                if await self._gone(original):
                    return False
                await self._js.publish(subject, payload, headers=headers | _trace(original), timeout=10)
                return True
            except MaxPayloadError:
                sentence = f"What is to be stored has {len(payload)} bytes, more than the server takes."
                raise TooLarge(sentence, code="result_too_large") from None
            except NatsError as error:
                if not passes(error):
                    raise
                log.warning("not_stored", subject=subject, error=str(error), again_in=_AGAIN)
            await asyncio.sleep(_AGAIN)


def passes(error: NatsError) -> bool:
    """Whether the same may work later: the server is away, starts, or has no room; no message is at fault."""
    if isinstance(error, APIError):
        return not isinstance(error, NotFoundError) and (error.code or 503) >= 500
    return isinstance(error, _PASSING)


def _trace(original: Original) -> dict[str, str]:
    """What an end takes along of its message, so that it can be followed."""
    found = trace.parse(original.headers.get(subjects.TRACEPARENT))
    return found.headers if found else {}
