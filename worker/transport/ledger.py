"""Where articles end: exactly one analysis or one dead letter per id, stored before the article is let go."""

from __future__ import annotations

import asyncio
import datetime as dt
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

from schemas import streams, subjects, trace
from schemas.articles import Analysis, DeadLetter, Earlier, wants_replacement
from schemas.codec import encode
from schemas.errors import TooLarge
from schemas.runtime import log as logs
from worker.transport import suspects

log = logs.get("worker.ledger")

EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
# The server's codes for "this subject has another last sequence than expected", and for "no message found".
WRONG_LAST_SEQUENCE = 10071
NO_MESSAGE = 10057
_ACK_TRIES = 3
_SEQUENCE = DeadLetter.header_names()["sequence"]
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
    """An article as it lies in ARTICLES, and how often it was delivered since it was published."""

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
            msg.subject,
            found.sequence.stream,
            msg.data,
            msg.headers or {},
            found.timestamp,
            suspects.deliveries(msg),
        )

    @classmethod
    def stored(cls, found: RawStreamMsg, deliveries: int) -> Original:
        """One that nobody has in work."""
        return cls(
            found.subject or "",
            found.seq or 0,
            found.data or b"",
            found.headers or {},
            found.time,
            deliveries,
        )


class Ledger:
    """Writes to ANALYSES and DEAD. Every write waits for the server's acknowledgement, however long it takes:
    the queue keeps the article ours meanwhile, and neither its answer nor a delivery is wasted.

    Who sleeps between its last look and its write may write an end beside another's. So each looks once more behind
    its write, and where there are both, the letter is taken back: an analysis is the better end.
    """

    def __init__(self, js: JetStreamContext, worker: str) -> None:
        self._js = js
        self._worker = worker

    async def has_analysis(self, recipe: str, token: str) -> bool:
        subject = subjects.analysis(recipe, token)
        return await self._last(streams.ANALYSES.name, subject, direct=True) is not None

    async def analysis(self, msg: Msg, token: str, analysis: Analysis, *, replace: bool) -> None:
        """Store an analysis; one that is there already stays and counts as stored, unless `replace`."""
        original = Original.of(msg)
        headers = {} if replace else {EXPECTED_LAST: "0"}
        subject = subjects.analysis(analysis.recipe, token)
        try:
            await self._store(original, subject, encode(analysis), headers)
        except APIError as error:
            if error.err_code != WRONG_LAST_SEQUENCE:
                raise
            log.info("analysis_exists", id=analysis.id, recipe=analysis.recipe)
        await self._analysed(original)

    async def dead(self, msg: Msg, error: str, reason: str) -> None:
        """Store an article's original payload with the reason why it ends here."""
        await self.bury(Original.of(msg), error, reason)

    async def bury(self, original: Original, error: str, reason: str) -> None:
        """The same for one that nobody has in work."""
        earlier = Earlier.of(original.headers)
        letter = DeadLetter(
            subject=original.subject,
            stream=streams.ARTICLES.name,
            sequence=original.sequence,
            reason=reason,
            error=error,
            attempts=earlier.attempts + original.deliveries,
            worker=self._worker,
            failed_at=dt.datetime.now(dt.UTC),
            first_published=earlier.first_published or original.published,
            replace=wants_replacement(original.headers),
        )
        if await self._store(original, _letter(original), original.payload, letter.headers()):
            log.warning("article_dead", subject=original.subject, reason=reason, error=error)
        await self._analysed(original)

    async def ended(self, original: Original) -> bool:
        """Whether an article of ARTICLES has its end, and only its acknowledgement was lost."""
        if await self._analysed(original):
            return True
        letter = await self._last(streams.DEAD.name, _letter(original))
        return letter is not None and _later(letter, original)

    async def settle(self, msg: Msg) -> None:
        """Let the article go. If that cannot be confirmed it comes again, and ends at "already there"."""
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
            if error.err_code != NO_MESSAGE:
                raise

    async def _analysed(self, original: Original) -> bool:
        """Whether there is the analysis that the article asked for; then it has no letter any more."""
        _, _, recipe, token = original.subject.split(".", 3)
        analysis = await self._last(streams.ANALYSES.name, subjects.analysis(recipe, token))
        if analysis is None or (wants_replacement(original.headers) and not _later(analysis, original)):
            return False
        await self._take_back(original)
        return True

    async def _take_back(self, original: Original) -> None:
        """The letter of this very article; that of an earlier life is the business of who sent it again."""
        letter = await self._last(streams.DEAD.name, _letter(original))
        if letter is None or (letter.headers or {}).get(_SEQUENCE) != str(original.sequence):
            return
        await self.remove(streams.DEAD.name, letter.seq or 0)
        log.warning("letter_taken_back", subject=original.subject, hint="there is an analysis after all")

    async def _gone(self, original: Original) -> bool:
        """Whether another worker has ended it while this one slept: then nothing of ours counts any more.

        Not a direct get: in a cluster any replica answers those, and one that lags would have us let it go.
        """
        try:
            await self._js.get_msg(streams.ARTICLES.name, original.sequence)
        except NotFoundError:
            log.info("article_ended_elsewhere", subject=original.subject)
            return True
        return False

    async def _last(self, stream: str, subject: str, *, direct: bool = False) -> RawStreamMsg | None:
        try:
            return await self._js.get_last_msg(stream, subject, direct=direct)
        except NotFoundError:
            return None

    async def _store(self, original: Original, subject: str, payload: bytes, headers: dict[str, str]) -> bool:
        """With the article's trace. False when the article has ended meanwhile; an earlier try may have come through
        all the same. Raises APIError for what the server will never take, TooLarge for what it cannot.
        """
        while not await self._gone(original):
            try:
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
        return False


def passes(error: NatsError) -> bool:
    """Whether the same may work later: the server is away, starts, or has no room; nobody's message is at fault."""
    if isinstance(error, APIError):
        return not isinstance(error, NotFoundError) and (error.code or 503) >= 500
    return isinstance(error, _PASSING)


def _letter(original: Original) -> str:
    return subjects.dead_article(streams.ARTICLES.name, original.subject)


def _trace(original: Original) -> dict[str, str]:
    """What an article's end takes along of it, so that it can be followed."""
    found = trace.parse(original.headers.get(subjects.TRACEPARENT))
    return found.headers if found else {}


def _later(one: RawStreamMsg, other: Original) -> bool:
    """By the server's own clock."""
    return one.time is not None and other.published is not None and one.time > other.published
