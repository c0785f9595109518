"""`bench mixed`: what a chat feels of a full queue, and what a grammar costs a batch."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from bridge.bench import batch, talk, texts
from bridge.bench.figures import Figure, Series, at_least, at_most, percentile, ratio, rotated
from bridge.bench.helper import Helper, helper
from bridge.bench.house import House, Site
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.client import Client
from schemas.articles import Article
from schemas.completion import Usage
from schemas.runtime.bench import Decode, Rate, Render, Rendered

_ANSWER = 8
_ENOUGH = 20
_TURNS = 3  # of a conversation


class Wanted(NamedTuple):
    """`tries` chats on the idle worker, and as many while the queue runs, `pause` seconds after one another.

    Half as many come there unexpected: after a silence in which the worker gives up on chat. `steps` of decoding,
    `repeats` times.
    """

    articles: list[Article]
    tries: int = 40
    pause: float = 2.0
    repeats: int = 3
    steps: int = 96
    model: str | None = None

    @property
    def unexpected(self) -> int:
        return math.ceil(self.tries / (_TURNS - 1))


class Tried(NamedTuple):
    """Seconds until the first token, and the usage of a chat."""

    idle: list[float]
    paced: list[float]
    unexpected: list[float]
    usage: Usage


async def measure(wanted: Wanted, site: Site, say: Say) -> Report:
    async with helper(wanted.model) as ours:
        rendered = await ours.ask(Render([]), Rendered)
        free, guided = await _rates(ours, rendered.slots, wanted, say)
    tried = await site.use(lambda house: _house(house, wanted, rendered, say))
    return report(wanted, rendered, tried, free, guided)


async def _rates(ours: Helper, rows: int, wanted: Wanted, say: Say) -> tuple[list[float], list[float]]:
    found: dict[bool, list[float]] = {False: [], True: []}
    for guided in found:  # what is loaded or compiled at the first request
        await ours.ask(Decode(rows, wanted.steps, guided), Rate)
    for turn in range(wanted.repeats):
        for guided in rotated((False, True), turn):
            rate = await ours.ask(Decode(rows, wanted.steps, guided), Rate)
            found[guided].append(rate.steps_per_second)
            kind = "guided" if guided else "free"
            say.line(f"{rows} {kind} rows: {rate.steps_per_second:.2f} steps/s over {rate.steps} steps")
    return found[False], found[True]


async def _house(house: House, wanted: Wanted, rendered: Rendered, say: Say) -> Tried:
    async with house.client("publisher") as nc, house.client("operator") as operator:
        chats = _Chats(nc, rendered.eos)
        await chats.first()  # what is loaded or compiled at the first request
        idle = []
        for at in range(wanted.tries):
            idle.append(await chats.first())
            say.detail(f"idle: {at + 1} of {wanted.tries} tries")
        name = f"mixed-{random.getrandbits(32):x}"
        some = texts.named(texts.marked(wanted.articles, name), name)
        queue = asyncio.create_task(batch.run(operator, some, say))
        paced, unexpected = await chats.until(queue, wanted, rendered.live)
        queue.cancel()
        await asyncio.wait({queue})  # what is left on the queue goes with the house
        return Tried(idle, paced, unexpected, chats.usage)


class _Chats:
    def __init__(self, nc: Client, eos: list[int]) -> None:
        self._nc = nc
        self._eos = eos
        self._number = random.randrange(90_000)
        self.usage = Usage(0, 0, 0)

    async def first(self) -> float:
        self._number += 1
        body = talk.body(talk.question(self._number), _ANSWER, self._eos)
        heard = await talk.over_nats(self._nc, body)
        self.usage = heard.usage
        return heard.first

    async def until(
        self, queue: asyncio.Task[batch.Passed], wanted: Wanted, live: float
    ) -> tuple[list[float], list[float]]:
        """Conversations as long as the queue runs, never in step with the batch: their first turns come unexpected,
        more than `live` seconds after the last, and so find the batch filled; the others come in pace.
        """
        paced: list[float] = []
        unexpected: list[float] = []
        for turn in range(wanted.tries + wanted.unexpected):
            begins = turn % _TURNS == 0
            pause = wanted.pause * random.uniform(0.5, 1.5)
            await asyncio.wait({queue}, timeout=pause + live if begins else pause)
            if queue.done():
                break
            first = await self.first()
            if queue.done():  # it may have had the worker for itself
                break
            (unexpected if begins else paced).append(first)
        if queue.done():
            queue.result()
        return paced, unexpected


def report(
    wanted: Wanted, rendered: Rendered, tried: Tried, free: Sequence[float], guided: Sequence[float]
) -> Report:
    rows = rendered.slots
    kinds = {"in pace": tried.paced, "unexpected": tried.unexpected}
    series = [
        Series("first token, idle", "s", tried.idle),
        *(Series(f"first token, {kind}", "s", tries) for kind, tries in kinds.items()),
        Series(f"{rows} free rows", "steps/s", list(free)),
        Series(f"{rows} guided rows", "steps/s", list(guided)),
    ]
    idle = percentile(tried.idle, 95)
    figures = [
        Figure(f"first token, {kind}: p95 ÷ idle p95", percentile(tries, 95) / idle, [], at_most(3))
        for kind, tries in kinds.items()
        if tries
    ]
    for kind, tries in {"idle": tried.idle, **kinds}.items():
        if tries:
            figures.append(Figure(f"first token, {kind}: p50 (s)", statistics.median(tries), []))
            figures.append(Figure(f"first token, {kind}: p95 (s)", percentile(tries, 95), []))
    figures.append(ratio(f"steps/s, {rows} guided rows ÷ {rows} free rows", guided, free, at_least(0.9)))
    cached = tried.usage.prompt_tokens_details.cached_tokens
    notes = [
        f"the chat's prompt has {tried.usage.prompt_tokens} tokens, of which the one before left {cached} ready",
        f"while the queue runs: in pace is about {wanted.pause:g} s after the last chat, unexpected "
        f"{rendered.live:g} s more, for which the worker keeps its steps short",
    ]
    for kind, tries in kinds.items():
        if len(tries) < _ENOUGH:
            notes.append(
                f"only {len(tries)} chats {kind} while the queue ran: give it more articles or tries"
            )
    settings = {"articles": len(wanted.articles), "tries": wanted.tries, "pause": wanted.pause}
    return Report("mixed", settings, series, figures, notes)
