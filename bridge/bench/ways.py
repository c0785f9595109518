"""The ways in which the same prompts become answers: our house, and what it is compared with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from bridge.bench import batch, bulk, talk
from bridge.bench.helper import helper
from bridge.bench.house import PREFIX_BYTES, House, Site
from bridge.bench.reference import reference
from bridge.bench.say import Say
from bridge.client import Client, figures
from schemas.articles import Article
from schemas.completion import Usage
from schemas.errors import BadRequest, EngineFailed, Unavailable
from schemas.runtime import presence
from schemas.runtime.bench import Generate, Rendered, Took

BASELINES = ("a", "a+prefix", "b", "c", "unshared", "batch")
WORDS = {
    "house": "nats-mlx, publish to last analysis",
    "chats": "nats-mlx, free text over NATS",
    "a": "(a) BatchGenerator",
    "a+prefix": "(a) with the shared prefix given",
    "b": "(b) mlx_lm.server, one after another",
    "c": "(c) mlx_lm.server, {rows} at once",
    "unshared": "nats-mlx, no state kept for others",
    "batch": "nats-mlx, as one OpenAI batch",
}


class Pass(msgspec.Struct, frozen=True):
    """All articles once, one way. Of the prompts' tokens, `cached` were known from another."""

    seconds: float
    articles: int
    prompt_tokens: int
    cached: int
    new_tokens: int

    @property
    def work(self) -> tuple[int, int]:
        """What makes two passes comparable."""
        return self.prompt_tokens, self.new_tokens

    @property
    def rate(self) -> float:
        """Articles per minute."""
        return self.articles / self.seconds * 60


class Plan(NamedTuple):
    """What every way is given: `tokens[i]` new tokens for the i-th article, `rows` of them at once.

    `guided`: ours answers from the queue, by the recipe's schema; else as a chat, with free text.
    """

    articles: list[Article]
    rendered: Rendered
    tokens: list[int]
    rows: int
    guided: bool
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
        return _as_told(plan, _passed(seconds, [one.usage for one in heard]))

    return await plan.site.use(job)


async def bare(plan: Plan, *, shared: bool) -> Pass:
    some = [plan.articles[at] for at in plan.counted]
    tokens = [plan.tokens[at] for at in plan.counted]
    async with helper(plan.model) as ours:
        took = await ours.ask(Generate(some, tokens, plan.rows, shared), Took)
    given = plan.rendered.shared * len(some) if shared else 0
    return _as_told(plan, Pass(took.seconds, len(some), took.prompt_tokens, given, took.new_tokens))


async def server(plan: Plan, at_once: int) -> Pass:
    bodies = [plan.body(at) for at in plan.counted]
    async with reference(plan.rendered.folder) as theirs:
        started = time.monotonic()
        usages = await theirs.ask_all(bodies, at_once)
        return _as_told(plan, _passed(time.monotonic() - started, usages))


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
        return _passed(seconds, usages)

    return await plan.site.use(job)


async def unshared(plan: Plan) -> Pass:
    """Ours, with no state of a prompt for another to begin with: what is the shared prompt's doing is missing here."""
    plan = plan._replace(site=plan.site.having(**{PREFIX_BYTES: "0"}))
    return (await articles(plan, again=False))[0] if plan.guided else await chats(plan)


def _as_told(plan: Plan, done: Pass) -> Pass:
    """Raises EngineFailed for other work than was asked for: a rate of it could be compared with none."""
    if done.new_tokens != (told := sum(plan.tokens)):
        raise EngineFailed(f"{done.new_tokens} new tokens were made where {told} were asked for.")
    return done


def _passed(seconds: float, usages: Sequence[Usage]) -> Pass:
    cached = sum(one.prompt_tokens_details.cached_tokens for one in usages)
    prompt, new = sum(one.prompt_tokens for one in usages), sum(one.completion_tokens for one in usages)
    return Pass(seconds, len(usages), prompt, cached, new)


class Again(NamedTuple):
    """The same articles under new ids: the time, and the tokens that the workers computed meanwhile."""

    seconds: float
    tokens: int


async def articles(plan: Plan, again: bool) -> tuple[Pass, batch.Passed, Again | None]:
    """The queue's whole way; `again`: then the same articles under new ids.

    The pass counts what was computed, as the other ways do: raises EngineFailed when that is nothing.
    """

    async def job(house: House) -> tuple[batch.Passed, Again | None]:
        async with house.client("operator") as nc:
            first = await batch.run(nc, plan.articles, plan.say)
            return first, await _again(nc, plan) if again else None

    first, second = await plan.site.use(job)
    done = [one.usage for one in first.analyses if one and not one.cached]
    if not done:
        raise EngineFailed("No article was computed: each is dead, or its answer was kept from before.")
    return _passed(first.seconds, done), first, second


async def _again(nc: Client, plan: Plan) -> Again:
    renamed = [msgspec.structs.replace(one, id=f"{one.id}-again") for one in plan.articles]
    before = await _computed(nc)
    second = await batch.run(nc, renamed, plan.say)
    return Again(second.seconds, await _computed(nc) - before)


async def _computed(nc: Client) -> int:
    """Tokens of prompts and of answers since the workers' start, by their own count."""
    names = {one.worker for one in await presence.workers(nc)}
    told = await figures.of(nc, names)
    if missing := names - told.keys():
        raise Unavailable(f"{', '.join(sorted(missing))} does not say what it has computed.")
    return sum(one.prompt_tokens + one.decode_tokens for one in told.values())


BASELINE: dict[str, Callable[[Plan], Awaitable[Pass]]] = {
    "chats": chats,
    "a": lambda plan: bare(plan, shared=False),
    "a+prefix": lambda plan: bare(plan, shared=True),
    "b": lambda plan: server(plan, 1),
    "c": lambda plan: server(plan, plan.rows),
    "unshared": unshared,
    "batch": openai_batch,
}
