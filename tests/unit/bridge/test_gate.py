"""Where a publication's lines wait: together, told once, and no longer than they are told to."""

from __future__ import annotations

import asyncio

import pytest

from bridge.client import gate
from bridge.client.gate import Gate, GaveUp


class Clock:
    """Goes on only when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(gate, "time", one)
    return one


async def held(one: Gate, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(one.hold("full")) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_many_wait_together_and_one_success_wakes_them(clock: Clock) -> None:
    said: list[str] = []
    one = Gate(said.append)
    tasks = await held(one, 30)
    assert not one.passed and not any(task.done() for task in tasks)
    one.moved()
    async with asyncio.timeout(0.5):  # less than the first wait
        await asyncio.gather(*tasks)
    assert (one.passed, said) == (True, ["full; waiting"])


async def test_the_same_is_told_again_only_after_a_while(clock: Clock) -> None:
    said: list[str] = []
    one = Gate(said.append)
    for seconds in (0, 10, 19, 1.5, 1):
        clock.now += seconds
        tasks = await held(one, 2)
        one.moved()
        await asyncio.gather(*tasks)
    assert said == ["full; waiting"] * 2


async def test_waits_grow_to_half_a_minute(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def timeout(seconds: float) -> asyncio.Timeout:
        waits.append(seconds)
        clock.now += seconds
        return asyncio.Timeout(0)

    monkeypatch.setattr(gate.asyncio, "timeout", timeout)
    one = Gate(print)
    for _ in range(7):
        await one.hold("full")
    one.moved()
    await one.hold("full")
    for _ in range(3):
        await one.reconnect("away")
    assert waits == [1, 2, 4, 8, 16, 30, 30, 1, 1, 1, 1]


async def test_patience_is_for_standing_still(clock: Clock) -> None:
    one = Gate(print, give_up=10)
    for _ in range(5):
        one.stand_still("no outcome came")
        clock.now += 9
        one.stand_still("no outcome came")
        one.moved()
    tasks = await held(one, 3)
    clock.now += 10
    for task in [*tasks, *await held(one, 1)]:
        task_error = None
        one._opened.set()
        try:
            await task
        except GaveUp as error:
            task_error = error.message
        assert task_error == "Gave up after 10 s: full."


async def test_who_has_no_patience_at_all_tries_once() -> None:
    with pytest.raises(GaveUp):
        await Gate(print, give_up=0).hold("full")
