"""What became of articles: an analysis or a dead letter, looked up by id with a publisher's few rights."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from nats.aio.client import Client

from bridge.client import stored
from bridge.client.articles import Outgoing, publish
from bridge.client.gate import Gate
from bridge.client.stored import Hold, Stored
from schemas import streams, subjects
from schemas.articles import DeadLetter
from schemas.errors import BadRequest

# About once a second each, with a thousand outstanding; of more, a thousand a second in turn.
_ROUND, _PER_ROUND, _AT_ONCE = 1.0, 1000, 32


class Expected(NamedTuple):
    """A publication whose outcome is awaited: its sequence (None: the same article waited already), and
    which analysis and dead letter were there before it. They do not count, but for the analysis of an article
    that asks for no new one.
    """

    article: Outgoing
    sequence: int | None = None
    old_analysis: int = 0
    old_dead: int = 0


class Outcome(NamedTuple):
    """The end of one article: the bytes of its analysis, or the letter that says why there is none.

    `before`: the analysis was there before the article was published.
    """

    id: str
    analysis: bytes | None
    dead: DeadLetter | None
    before: bool = False


async def analysis(nc: Client, recipe: str, token: str, hold: Hold = stored.patiently) -> Stored | None:
    return await stored.last(nc, streams.ANALYSES.name, subjects.analysis(recipe, token), hold)


async def dead(nc: Client, recipe: str, token: str, hold: Hold = stored.patiently) -> Stored | None:
    subject = subjects.dead(streams.ARTICLES.name, recipe, token)
    return await stored.last(nc, streams.DEAD.name, subject, hold)


async def send(nc: Client, article: Outgoing, gate: Gate) -> Expected:
    """Publish, after noting what is there already. Any analysis will do unless a new one is asked for."""
    old = await analysis(nc, article.recipe, article.token, gate.reconnect)
    letter = await dead(nc, article.recipe, article.token, gate.reconnect)
    before = Expected(article, None, old.sequence if old else 0, letter.sequence if letter else 0)
    return before._replace(sequence=await publish(nc, article, gate))


class Outcomes:
    """Iterates over outcomes as they come; publications may be added until close(). Raises GaveUp."""

    def __init__(self, nc: Client, gate: Gate) -> None:
        self._nc = nc
        self._gate = gate
        self._waiting: deque[Expected] = deque()
        self._open = True
        self._limit = asyncio.Semaphore(_AT_ONCE)

    def add(self, expected: Expected) -> None:
        if not _may_go_again(expected):
            # Articles by the million may be outstanding; their texts need not be.
            expected = expected._replace(article=expected.article._replace(payload=b""))
        self._waiting.append(expected)

    def close(self) -> None:
        self._open = False

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        while self._open or self._waiting:
            started = time.monotonic()
            found = await self._round()
            for outcome in found:
                self._gate.moved()
                yield outcome
            if self._waiting and not found:
                self._gate.stand_still("no outcome came")
            if self._open or self._waiting:
                await asyncio.sleep(max(0.0, _ROUND - (time.monotonic() - started)))

    async def _round(self) -> list[Outcome]:
        """Look at the ones that were not looked at for longest; who is not done goes to the end."""
        some = [self._waiting.popleft() for _ in range(min(_PER_ROUND, len(self._waiting)))]
        results = await asyncio.gather(*map(self._look, some), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self._waiting.extend(result for result in results if isinstance(result, Expected))
        return [result for result in results if isinstance(result, Outcome)]

    async def _look(self, expected: Expected) -> Outcome | Expected:
        async with self._limit:
            if outcome := await self._outcome(expected):
                return outcome
            if _may_go_again(expected):
                # What waited may have been about to end as the old letter or analysis that does not count,
                # or may not replace: then only a publication of our own has an outcome of our own.
                sequence = await publish(self._nc, expected.article, self._gate)
                return expected._replace(sequence=sequence)
            return expected

    async def _outcome(self, expected: Expected) -> Outcome | None:
        article, hold = expected.article, self._gate.reconnect
        found = await analysis(self._nc, article.recipe, article.token, hold)
        if found is not None and (found.sequence > expected.old_analysis or not article.replace):
            before = expected.old_analysis > 0 and not article.replace
            return Outcome(article.id, found.data, None, before)
        found = await dead(self._nc, article.recipe, article.token, hold)
        if found is not None and (letter := _counts(found, expected)):
            return Outcome(article.id, None, letter)
        return None


def _may_go_again(expected: Expected) -> bool:
    """Whether it joined an article that waited, and may get nothing out of that one's end."""
    old_analysis = expected.article.replace and expected.old_analysis
    return expected.sequence is None and bool(old_analysis or expected.old_dead)


def _counts(found: Stored, expected: Expected) -> DeadLetter | None:
    """The letter, when it is about this publication and not an earlier one."""
    with contextlib.suppress(BadRequest):  # something else that lies in DEAD answers for no article
        letter = DeadLetter.from_headers(found.headers)
        ours = (
            found.sequence > expected.old_dead
            if expected.sequence is None
            else letter.sequence >= expected.sequence
        )
        return letter if ours else None
    return None
