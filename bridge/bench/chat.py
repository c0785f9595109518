"""`bench chat`: what NATS and the bridge add to one chat, and when its first token comes on an idle worker."""

from __future__ import annotations

import random
import statistics
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp

from bridge.bench import hall, talk
from bridge.bench.figures import Figure, Series, at_most, percentile, ratio, rotated
from bridge.bench.helper import Helper, helper
from bridge.bench.house import House
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.client import Client
from schemas.runtime.bench import Ask, Render, Rendered, Serve, Serving, Took

_WAYS = ("in process", "NATS", "bridge")


class Times(NamedTuple):
    """Seconds."""

    first: float
    wall: float


async def measure(rounds: int, tokens: int, model: str | None, say: Say) -> Report:
    """Each round asks the same question every way, of one engine: two processes with the same model differ by more
    than what is measured. The rounds' questions differ.
    """

    async def job(house: House) -> dict[str, list[Times]]:
        assert house.bridge_url
        async with helper(model, **hall.as_worker(house)) as ours:
            await ours.ask(Serve(), Serving)
            await hall.ready(house)
            eos = (await ours.ask(Render([]), Rendered)).eos
            async with house.client("publisher") as nc, talk.http(house.bridge_url) as session:
                return await _rounds(_Asker(ours, nc, session, tokens, eos), rounds, say)

    return _report(await hall.use(job, say), rounds, tokens)


async def _rounds(asker: _Asker, rounds: int, say: Say) -> dict[str, list[Times]]:
    await asker.round(0)  # what is loaded or compiled at the first request
    found: dict[str, list[Times]] = {way: [] for way in _WAYS}
    for turn in range(rounds):
        for way, times in (await asker.round(turn)).items():
            found[way].append(times)
        say.detail(f"{turn + 1} of {rounds} rounds")
    return found


class _Asker:
    """The same request by each way, in changing order."""

    def __init__(
        self, ours: Helper, nc: Client, session: aiohttp.ClientSession, tokens: int, eos: list[int]
    ) -> None:
        self._tokens = tokens
        self._eos = eos
        self._ways: dict[str, Callable[[dict[str, object]], Awaitable[Times]]] = {
            "in process": lambda body: _in_process(ours, body),
            "NATS": lambda body: _heard(talk.over_nats(nc, body)),
            "bridge": lambda body: _heard(talk.over_http(session, body)),
        }

    async def round(self, turn: int) -> dict[str, Times]:
        number = random.randrange(90_000)
        found = {}
        for at, way in enumerate(rotated(_WAYS, turn)):
            # Of the same length, yet not the same: the second to ask must not profit from the first.
            question = talk.question(number + at)
            found[way] = await self._ways[way](talk.body(question, self._tokens, self._eos))
        return found


async def _in_process(ours: Helper, body: dict[str, object]) -> Times:
    took = await ours.ask(Ask(body), Took)
    return Times(took.first, took.seconds)


async def _heard(asked: Awaitable[talk.Heard]) -> Times:
    heard = await asked
    return Times(heard.first, heard.seconds)


def _report(found: dict[str, list[Times]], rounds: int, tokens: int) -> Report:
    walls = {way: [one.wall for one in times] for way, times in found.items()}
    firsts = {way: [one.first for one in times] for way, times in found.items()}
    series = [Series(f"{way}: wall", "s", walls[way]) for way in _WAYS]
    series += [Series(f"{way}: first token", "s", firsts[way]) for way in _WAYS]
    figures = [
        ratio("wall, NATS ÷ in process", walls["NATS"], walls["in process"], at_most(1.02)),
        ratio("wall, bridge ÷ in process", walls["bridge"], walls["in process"], at_most(1.03)),
        Figure("first token over NATS, idle: p50 (s)", statistics.median(firsts["NATS"]), firsts["NATS"]),
        Figure("first token over NATS, idle: p95 (s)", percentile(firsts["NATS"], 95), firsts["NATS"]),
    ]
    notes = [f"each answer has {tokens} tokens, streamed; the tokens that would end it are biased away"]
    return Report("chat", {"rounds": rounds, "tokens": tokens}, series, figures, notes)
