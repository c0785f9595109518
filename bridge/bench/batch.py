"""Articles through a house: published, and waited for until the last has its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from bridge.bench import texts
from bridge.bench.say import Say
from bridge.client import Client, articles
from bridge.client.articles import Outgoing, Target
from bridge.client.gate import Gate
from bridge.client.watch import endings
from schemas.articles import Analysis, Article
from schemas.codec import decode
from schemas.runtime.bench import RECIPE

_IN_FLIGHT = 32


class Passed(msgspec.Struct):
    """From the first publication to the last end. `analyses` are by the articles' place; a dead one has none."""

    seconds: float
    analyses: list[Analysis | None]

    @property
    def tokens(self) -> list[int]:
        """New tokens of each article, 0 where none were computed for it."""
        return [one.usage.completion_tokens if one and not one.cached else 0 for one in self.analyses]

    @property
    def dead(self) -> int:
        return self.analyses.count(None)


async def run(nc: Client, some: Sequence[Article], say: Say) -> Passed:
    """As an operator: nobody else may listen to what becomes of articles."""
    ready = texts.outgoing(some, Target(RECIPE))
    places = {article.token: at for at, article in enumerate(ready)}
    passed = Passed(0.0, [None] * len(ready))
    left = set(places)
    async with endings(nc, RECIPE) as heard, asyncio.TaskGroup() as tasks:
        started = time.monotonic()
        tasks.create_task(publish(nc, ready, say))
        async for ending in heard:
            if ending.token in left:
                left.discard(ending.token)
                passed.seconds = ending.at - started
                if ending.analysis is not None:
                    passed.analyses[places[ending.token]] = decode(Analysis, ending.analysis)
                say.detail(f"{len(ready) - len(left)} of {len(ready)} articles")
            if not left:
                break
    return passed


async def publish(nc: Client, ready: Sequence[Outgoing], say: Say) -> None:
    gate = Gate(say.line)
    for at in range(0, len(ready), _IN_FLIGHT):
        await asyncio.gather(*(articles.publish(nc, one, gate) for one in ready[at : at + _IN_FLIGHT]))
