"""The ways in which the same prompts become answers: our house, and what it is compared with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from bridge.bench import batch, bulk, talk
from bridge.bench.helper import helper
from bridge.bench.house import House, Site
from bridge.bench.reference import reference
from bridge.bench.say import Say
from schemas.articles import Article
from schemas.errors import BadRequest
from schemas.runtime.bench import Generate, Rendered, Took

BASELINES = ("a", "a+prefix", "b", "c", "batch")
WORDS = {
    "house": "nats-mlx, publish to last analysis",
    "chats": "nats-mlx, free text over NATS",
    "a": "(a) BatchGenerator",
    "a+prefix": "(a) with the shared prefix given",
    "b": "(b) mlx_lm.server, one after another",
    "c": "(c) mlx_lm.server, {rows} at once",
    "batch": "nats-mlx, as one OpenAI batch",
}


class Pass(msgspec.Struct, frozen=True):
    """All articles once, one way."""

    way: str
    seconds: float
    articles: int
    prompt_tokens: int
    new_tokens: int

    @property
    def rate(self) -> float:
        """Articles per minute."""
        return self.articles / self.seconds * 60


class Plan(NamedTuple):
    """What every way is given: `tokens[i]` new tokens for the i-th article, `rows` of them at once."""

    articles: list[Article]
    rendered: Rendered
    tokens: list[int]
    rows: int
    model: str | None
    site: Site
    say: Say

    def body(self, at: int) -> dict[str, Any]:
        """The same prompt as the recipe makes, with free text for an answer."""
        return {
            "messages": self.rendered.requests[at]["messages"],
            "temperature": 0,
            "max_tokens": self.tokens[at],
            "logit_bias": {str(token): -100 for token in self.rendered.eos},
        }

    @property
    def counted(self) -> list[int]:
        """Places of the articles that have an answer to compare with."""
        return [at for at, tokens in enumerate(self.tokens) if tokens]


async def chats(plan: Plan) -> Pass:
    """Free text from a house: the queue has guided answers alone, so it is asked as a chat, `rows` at once."""

    async def job(house: House) -> Pass:
        free = asyncio.Semaphore(plan.rows)

        async def one(at: int) -> talk.Heard:
            async with free:
                stream = {"stream": True, "stream_options": {"include_usage": True}}
                return await talk.over_nats(nc, plan.body(at) | stream)

        async with house.client("publisher") as nc:
            started = time.monotonic()
            heard = await asyncio.gather(*map(one, plan.counted))
            seconds = time.monotonic() - started
        usages = [one.usage for one in heard]
        return _passed("chats", seconds, [(one.prompt_tokens, one.completion_tokens) for one in usages])

    return await plan.site.use(job)


async def bare(plan: Plan, *, shared: bool) -> Pass:
    some = [plan.articles[at] for at in plan.counted]
    tokens = [plan.tokens[at] for at in plan.counted]
    async with helper(plan.model) as ours:
        took = await ours.ask(Generate(some, tokens, plan.rows, shared), Took)
    way = "a+prefix" if shared else "a"
    return Pass(way, took.seconds, len(some), took.prompt_tokens, took.new_tokens)


async def server(plan: Plan, way: str, at_once: int) -> Pass:
    bodies = [plan.body(at) for at in plan.counted]
    async with reference(plan.rendered.folder) as theirs:
        started = time.monotonic()
        usages = await theirs.ask_all(bodies, at_once)
        return _passed(way, time.monotonic() - started, usages)


async def openai_batch(plan: Plan) -> Pass:
    """The recipe's own requests, guided as the queue's are, over HTTP."""

    async def job(house: House) -> Pass:
        if house.bridge_url is None:
            raise BadRequest(
                "`batch` asks a bridge: leave out --nats-url, so that there is a house of its own."
            )
        model = {"model": plan.rendered.model}
        seconds, usages = await bulk.run(
            house.bridge_url, [model | plan.rendered.requests[at] for at in plan.counted]
        )
        return _passed("batch", seconds, usages)

    return await plan.site.use(job)


def _passed(way: str, seconds: float, usages: Sequence[tuple[int, int]]) -> Pass:
    prompt, new = (sum(one[field] for one in usages) for field in (0, 1))
    return Pass(way, seconds, len(usages), prompt, new)


async def articles(plan: Plan, again: bool) -> tuple[Pass, batch.Passed, batch.Passed | None]:
    """The queue's whole way; `again`: then the same articles under new ids."""

    async def job(house: House) -> tuple[batch.Passed, batch.Passed | None]:
        async with house.client("operator") as nc:
            first = await batch.run(nc, plan.articles, plan.say)
            if not again:
                return first, None
            renamed = [msgspec.structs.replace(one, id=f"{one.id}-again") for one in plan.articles]
            return first, await batch.run(nc, renamed, plan.say)

    first, second = await plan.site.use(job)
    done = [one.usage for one in first.analyses if one]
    found = _passed("house", first.seconds, [(one.prompt_tokens, one.completion_tokens) for one in done])
    return found, first, second


BASELINE: dict[str, Callable[[Plan], Awaitable[Pass]]] = {
    "chats": chats,
    "a": lambda plan: bare(plan, shared=False),
    "a+prefix": lambda plan: bare(plan, shared=True),
    "b": lambda plan: server(plan, "b", 1),
    "c": lambda plan: server(plan, "c", plan.rows),
    "batch": openai_batch,
}
