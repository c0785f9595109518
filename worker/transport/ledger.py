"""Where articles end: exactly one analysis or one dead letter per id, stored before the article is let go."""

from __future__ import annotations

import datetime as dt

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from schemas import streams, subjects
from schemas.articles import Analysis, DeadLetter, Earlier, wants_replacement
from schemas.codec import encode
from schemas.errors import LlmError
from schemas.runtime import log as logs
from worker.transport.ends import Ends, Original

log = logs.get("worker.ledger")

_SEQUENCE = DeadLetter.header_names()["sequence"]


class Ledger(Ends):
    """Writes to ANALYSES and DEAD.

    Who sleeps between its last look and its write may write an end beside another's. So each looks once more behind
    its write, and where there are both, the letter is taken back: an analysis is the better end.
    """

    def __init__(self, js: JetStreamContext, worker: str) -> None:
        super().__init__(js)
        self._worker = worker

    async def answered(self, original: Original) -> bool:
        """Whether there is the analysis that the article asked for; of any replica, which may lag."""
        return await self._answer(original, direct=True) is not None

    async def analysis(self, msg: Msg, token: str, analysis: Analysis, *, replace: bool) -> None:
        """Store an analysis; one that is there already stays and counts as stored, unless `replace`."""
        original = Original.of(msg)
        subject, payload = subjects.analysis(analysis.recipe, token), encode(analysis)
        if replace:
            await self._store(original, subject, payload, {})
        else:
            await self._store_once(original, subject, payload)
        await self._analysed(original)

    async def bury(self, original: Original, error: LlmError) -> None:
        """Store an article's original payload with the reason why it ends here."""
        earlier = Earlier.of(original.headers)
        letter = DeadLetter(
            subject=original.subject,
            stream=streams.ARTICLES.name,
            sequence=original.sequence,
            reason=error.code or "failed",
            error=error.message,
            attempts=earlier.attempts + original.deliveries,
            worker=self._worker,
            failed_at=dt.datetime.now(dt.UTC),
            first_published=earlier.first_published or original.published,
            replace=wants_replacement(original.headers),
        )
        if await self._store(original, _letter(original), original.payload, letter.headers()):
            log.warning("article_dead", subject=original.subject, reason=letter.reason, error=letter.error)
        await self._analysed(original)

    async def ended(self, original: Original) -> bool:
        if await self._analysed(original):
            return True
        letter = await self._last(streams.DEAD.name, _letter(original))
        return letter is not None and _later(letter, original)

    async def _analysed(self, original: Original) -> bool:
        """Whether there is the analysis that the article asked for; then it has no letter any more."""
        if await self._answer(original) is None:
            return False
        await self._take_back(original)
        return True

    async def _answer(self, original: Original, *, direct: bool = False) -> RawStreamMsg | None:
        _, _, recipe, token = original.subject.split(".", 3)
        analysis = await self._last(streams.ANALYSES.name, subjects.analysis(recipe, token), direct=direct)
        if analysis is None or (wants_replacement(original.headers) and not _later(analysis, original)):
            return None
        return analysis

    async def _take_back(self, original: Original) -> None:
        """The letter of this very article; that of an earlier life is the business of who sent it again."""
        letter = await self._last(streams.DEAD.name, _letter(original))
        if letter is None or (letter.headers or {}).get(_SEQUENCE) != str(original.sequence):
            return
        await self.remove(streams.DEAD.name, letter.seq or 0)
        log.warning("letter_taken_back", subject=original.subject, hint="there is an analysis after all")


def _letter(original: Original) -> str:
    return subjects.dead_article(streams.ARTICLES.name, original.subject)


def _later(one: RawStreamMsg, other: Original) -> bool:
    """By the server's own clock."""
    return one.time is not None and other.published is not None and one.time > other.published
