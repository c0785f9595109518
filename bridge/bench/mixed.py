"""`bench mixed`: what a chat feels of a full queue, and what a grammar costs a batch."""

from __future__ import annotations

import asyncio
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
from schemas.runtime.bench import Decode, Rate, Render, Rendered

_ANSWER = 8
_ENOUGH = 20


class Wanted(NamedTuple):
    """`tries` chats on the idle worker, and as many while the queue runs; `steps` of decoding, `repeats` times."""

    articles: list[Article]
    tries: int = 40
    pause: float = 2.0
    repeats: int = 3
    steps: int = 96
    model: str | None = None


class _Tried(NamedTuple):
    idle: list[float]
    busy: list[float]
    prompt_tokens: int


async def measure(wanted: Wanted, site: Site, say: Say) -> Report:
    async with helper(wanted.model) as ours:
        rendered = await ours.ask(Render([]), Rendered)
        free, guided = await _rates(ours, rendered.slots, wanted, say)
    tried = await site.use(lambda house: _house(house, wanted, rendered, say))
    return _report(wanted, tried, free, guided, rendered.slots)


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


async def _house(house: House, wanted: Wanted, rendered: Rendered, say: Say) -> _Tried:
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
        busy = await chats.until(queue, wanted)
        queue.cancel()
        await asyncio.wait({queue})  # what is left on the queue goes with the house
        return _Tried(idle, busy, chats.prompt_tokens)


class _Chats:
    def __init__(self, nc: Client, eos: list[int]) -> None:
        self._nc = nc
        self._eos = eos
        self._number = random.randrange(90_000)
        self.prompt_tokens = 0

    async def first(self) -> float:
        self._number += 1
        body = talk.body(talk.question(self._number), _ANSWER, self._eos)
        heard = await talk.over_nats(self._nc, body)
        self.prompt_tokens = heard.usage.prompt_tokens
        return heard.first

    async def until(self, queue: asyncio.Task[batch.Passed], wanted: Wanted) -> list[float]:
        """Now and then, never in step with the batch, as long as the queue runs."""
        found: list[float] = []
        await asyncio.wait({queue}, timeout=wanted.pause)  # until the batch has filled
        while not queue.done() and len(found) < wanted.tries:
            first = await self.first()
            if not queue.done():
                found.append(first)
            pause = wanted.pause * random.uniform(0.5, 1.5)
            await asyncio.wait({queue}, timeout=pause)
        if queue.done():
            queue.result()
        return found


def _report(
    wanted: Wanted, tried: _Tried, free: Sequence[float], guided: Sequence[float], rows: int
) -> Report:
    series = [
        Series("first token, idle", "s", tried.idle),
        Series("first token while the queue runs", "s", tried.busy),
        Series(f"{rows} free rows", "steps/s", list(free)),
        Series(f"{rows} guided rows", "steps/s", list(guided)),
    ]
    notes = [f"the chat's prompt has {tried.prompt_tokens} tokens"]
    if len(tried.busy) < _ENOUGH:
        notes.append(f"only {len(tried.busy)} chats while the queue ran: give it more articles")
    figures = [ratio(f"steps/s, {rows} guided rows ÷ {rows} free rows", guided, free, at_least(0.9))]
    if tried.busy:
        idle = percentile(tried.idle, 95)
        figures = [
            Figure("first token, busy p95 ÷ idle p95", percentile(tried.busy, 95) / idle, [], at_most(3)),
            Figure("first token, busy p50 (s)", statistics.median(tried.busy), []),
            Figure("first token, busy p95 (s)", percentile(tried.busy, 95), []),
            Figure("first token, idle p50 (s)", statistics.median(tried.idle), []),
            Figure("first token, idle p95 (s)", idle, []),
            *figures,
        ]
    settings = {"articles": len(wanted.articles), "tries": wanted.tries, "pause": wanted.pause}
    return Report("mixed", settings, series, figures, notes)
