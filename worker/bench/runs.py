"""Work given to an engine in this process, and the time that it takes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Any

from schemas.articles import Article
from schemas.chat import ChatRequest, JsonSchema, JsonSchemaFormat
from schemas.errors import EngineFailed
from schemas.messages import UserMessage
from schemas.runtime.bench import RECIPE, Rate, Took
from worker.engine.engine import Engine
from worker.engine.run import Run
from worker.jobs import Done, Event, Failed, Job, JobLane, Prepared, Text
from worker.recipes import PROBES, built_in, parse

_ids = map("bench-{}".format, itertools.count(1))


async def articles(engine: Engine, some: Sequence[Article]) -> Took:
    """All at once, as many together as the engine has slots for."""
    recipe = parse(built_in(RECIPE))
    started = time.monotonic()
    head = await engine.head(*map(recipe.request, PROBES))
    works = [await engine.prepare(recipe.request(article), head) for article in some]
    ends = await asyncio.gather(*(_finish(engine, work, "norm") for work in works))
    usages = [done.usage for done, _ in ends]
    prompt, new = (sum(one.prompt_tokens for one in usages), sum(one.completion_tokens for one in usages))
    return Took(time.monotonic() - started, prompt, new)


async def chat(engine: Engine, request: ChatRequest) -> Took:
    started = time.monotonic()
    done, first = await _finish(engine, await engine.prepare(request), "chat")
    ended = time.monotonic()
    usage = done.usage
    return Took(ended - started, usage.prompt_tokens, usage.completion_tokens, first - started)


async def decode(engine: Engine, rows: int, tokens: int, *, guided: bool) -> Rate:
    """Steps from when the last of the rows has its first token until the first of them ends.

    Raises EngineFailed when that is no time at all.
    """
    requests = [_endless(at, tokens) if guided else _request(at, tokens) for at in range(rows)]
    works = [await engine.prepare(request) for request in requests]
    window = _Window(engine, rows)
    await asyncio.gather(*map(window.run, works))
    return window.rate()


class _Window:
    """The time in which all rows are decoded and nothing else is done."""

    def __init__(self, engine: Engine, rows: int) -> None:
        self._engine = engine
        self._missing = rows
        self._begin = self._end = (0.0, 0)

    async def run(self, work: Prepared) -> None:
        async with self._engine.run(Job(next(_ids), "norm", work)) as run:
            if isinstance(await _until(run, Text), Done):
                return  # it had nothing to say: `rate` misses it
            self._missing -= 1
            if not self._missing:
                self._begin = self._now()
            await _until(run)
            self._end = self._end if self._end[1] else self._now()

    def rate(self) -> Rate:
        seconds, steps = (end - begin for end, begin in zip(self._end, self._begin, strict=True))
        if self._missing or steps <= 0:
            raise EngineFailed("A row ended before the last one had begun: give each more tokens.")
        return Rate(steps / seconds, int(steps))

    def _now(self) -> tuple[float, int]:
        return time.monotonic(), self._engine.counters.steps


def _endless(at: int, tokens: int) -> ChatRequest:
    """A list of the recipe's answers, far longer than any row gets."""
    answers = {"type": "array", "items": parse(built_in(RECIPE)).answer, "minItems": 1000}
    form = JsonSchemaFormat(JsonSchema(name="answers", schema=answers))
    return _request(at, tokens, response_format=form)


def _request(at: int, tokens: int, **fields: Any) -> ChatRequest:
    """No two are the same: equal ones may be computed once. Free text of this goes on for hundreds of tokens."""
    question = UserMessage(content=f"Write chapter {100 + at} of the history of money.")
    return ChatRequest(messages=[question], temperature=0.0, max_tokens=tokens, **fields)


async def _finish(engine: Engine, work: Prepared, lane: JobLane) -> tuple[Done, float]:
    """How it ended, and when its first text came."""
    async with engine.run(Job(next(_ids), lane, work)) as run:
        event = await _until(run, Text)
        at = time.monotonic()
        while not isinstance(event, Done):
            event = await _until(run)
        return event, at


async def _until(run: Run, kind: type[Event] = Done) -> Event:
    """The next event of its kind, or the end if that comes first."""
    while True:
        event = await run.next()
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, kind | Done):
            return event
