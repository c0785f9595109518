"""Work that repeats is computed once: counted in the engine's own tokens."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import cast

import pytest
from nats.js import JetStreamContext

from schemas.articles import CachedAnswer
from schemas.completion import Usage
from schemas.errors import EngineFailed
from tests.model.conftest import Asker
from worker.engine.counters import Counters
from worker.jobs import Job, Prepared
from worker.transport.answers import Answer, Answers
from worker.transport.results import Results

ASKED = "What is the capital of France?"


class Remembered(Results):
    """Keeps in memory what the bucket would."""

    def __init__(self) -> None:
        super().__init__(cast(JetStreamContext, None))
        self.entries: dict[str, CachedAnswer] = {}

    async def get(self, key: str) -> CachedAnswer | None:
        await asyncio.sleep(0)  # a bucket takes a moment, in which others come
        return self.entries.get(key)

    async def put(self, key: str, text: str, usage: Usage) -> None:
        self.entries[key] = CachedAnswer(text, usage, dt.datetime.now(dt.UTC))


class Desk:
    """Answers, what they keep, and what their engine has computed since."""

    def __init__(self, ask: Asker) -> None:
        self.ask = ask
        self.results = Remembered()
        self.answers = Answers(ask.engine, self.results)
        self._before = ask.engine.counters.copy()

    async def work(self, text: str = ASKED, **fields: object) -> Prepared:
        return await self.ask.work(text, **{"temperature": 0, "max_tokens": 16} | fields)

    async def get(self, work: Prepared, *, fresh: bool = False, company: int | None = None) -> Answer:
        job = self.ask.job(work)
        job = job if company is None else replace(job, company=company)
        return await self.answers.get(job, str, fresh=fresh)

    @property
    def jobs(self) -> int:
        return self.ask.engine.counters.jobs - self._before.jobs

    @property
    def computed(self) -> Counters:
        now, before = self.ask.engine.counters, self._before
        return Counters(now.prompt_tokens - before.prompt_tokens, now.decode_tokens - before.decode_tokens)


@pytest.fixture
def desk(ask: Asker) -> Desk:
    return Desk(ask)


async def test_the_same_at_once_is_computed_once(desk: Desk) -> None:
    work = await desk.work()
    first, *others = await asyncio.gather(*(desk.get(work) for _ in range(4)))
    assert desk.jobs == 1
    assert first.text == "The capital of France is Paris." and not first.cached
    for other in others:
        assert other.cached and other.text == first.text
        assert other.done.usage == first.done.usage
        assert other.done.durations.prefill == other.done.durations.decode == 0


async def test_the_same_later_costs_no_token(desk: Desk) -> None:
    work = await desk.work()
    first = await desk.get(work)
    spent = desk.computed
    again = await desk.get(await desk.work())
    assert desk.computed == spent and spent.decode_tokens > 0
    assert again.cached and (again.text, again.done.usage) == (first.text, first.done.usage)
    assert again.done.finish == "stop"


async def test_another_worker_with_the_same_bucket_knows_it(desk: Desk) -> None:
    await desk.get(await desk.work())
    other = Answers(desk.ask.engine, desk.results)
    assert (await other.get(desk.ask.job(await desk.work()), str)).cached
    assert desk.jobs == 1


async def test_who_wants_it_fresh_gets_it_and_so_does_the_bucket(desk: Desk) -> None:
    work = await desk.work()
    await desk.get(work)
    [key] = desk.results.entries
    desk.results.entries[key] = CachedAnswer("stale", Usage(1, 1, 2), dt.datetime.now(dt.UTC))
    assert (await desk.get(work)).text == "stale"
    fresh = await desk.get(work, fresh=True)
    assert not fresh.cached and fresh.text == "The capital of France is Paris."
    assert (await desk.get(work)).text == fresh.text
    assert desk.jobs == 2


async def test_who_wants_it_fresh_does_not_wait_for_one_who_does_not(desk: Desk) -> None:
    """Whose answer may come from the bucket; of those who want it fresh, one computes."""
    work = await desk.work()
    await desk.get(work)
    found = await asyncio.gather(desk.get(work), *(desk.get(work, fresh=True) for _ in range(3)))
    assert [one.cached for one in found] == [True, False, True, True]
    assert desk.jobs == 2


async def test_what_is_drawn_at_random_is_drawn_each_time(desk: Desk) -> None:
    work = await desk.work(temperature=0.7)
    found = await asyncio.gather(*(desk.get(work) for _ in range(2)))
    assert desk.jobs == 2 and not desk.results.entries
    assert not any(one.cached for one in found)


async def test_an_answer_that_was_cut_is_not_kept(desk: Desk) -> None:
    work = await desk.work(max_tokens=2)
    cut = await desk.get(work)
    assert cut.done.finish == "length" and not desk.results.entries


async def test_an_answer_that_does_not_validate_is_neither_kept_nor_taken(desk: Desk) -> None:
    work = await desk.work()
    for _ in range(2):
        found = await desk.answers.get(desk.ask.job(work), int)
        assert not found.cached
    assert not desk.results.entries
    await desk.get(work)
    assert not (await desk.answers.get(desk.ask.job(work), int)).cached
    assert desk.jobs == 4


@pytest.mark.parametrize("company", [4, 1])
async def test_a_suspect_is_computed_by_itself(desk: Desk, company: int) -> None:
    """It may have killed a worker: nobody waits for it, and it waits for nobody."""
    work = await desk.work()
    found = await asyncio.gather(desk.get(work, company=company), desk.get(work), desk.get(work))
    assert [one.cached for one in found] == [False, False, True]
    assert desk.jobs == 2


async def test_a_suspect_whose_answer_is_known_is_not_computed(desk: Desk) -> None:
    work = await desk.work()
    await desk.get(work)
    assert (await desk.get(work, company=1)).cached
    assert desk.jobs == 1


async def test_who_is_cancelled_leaves_the_work_to_the_next(desk: Desk) -> None:
    work = await desk.work("Write a long story about the sea.", max_tokens=60)
    first = asyncio.create_task(desk.get(work))
    others = [asyncio.create_task(desk.get(work)) for _ in range(2)]
    while not desk.ask.engine.running:
        await asyncio.wait({first}, timeout=0.01)
    first.cancel()
    second, third = await asyncio.gather(*others)
    assert first.cancelled()
    assert not second.cached and third.cached
    assert third.text == second.text
    assert desk.jobs == 1


async def test_an_error_is_of_who_met_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    work = await desk.work()
    infer = desk.answers._infer
    failed: list[Job] = []

    async def once(job: Job) -> Answer:
        if not failed:
            failed.append(job)
            raise EngineFailed("The model failed on this batch; try again.")
        return await infer(job)

    monkeypatch.setattr(desk.answers, "_infer", once)
    found = await asyncio.gather(*(desk.get(work) for _ in range(3)), return_exceptions=True)
    assert isinstance(found[0], EngineFailed)
    assert [one.cached for one in found[1:] if isinstance(one, Answer)] == [False, True]
