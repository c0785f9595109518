"""The same work at once is done once, and whatever becomes of who does it, nobody waits in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from worker.flights import Flights


class Work:
    """What each caller would do; it ends when the test says how."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()

    async def __call__(self) -> str:
        end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.begun.put_nowait(end)
        return await end


async def started(*callers: Coroutine[Any, Any, tuple[str, bool]]) -> list[asyncio.Task[tuple[str, bool]]]:
    tasks = [asyncio.create_task(caller) for caller in callers]
    await settled()
    return tasks


async def settled() -> None:
    """Until each task has done all it can: none of them waits for anything but its test."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def work() -> Work:
    return Work()


async def test_many_share_one(work: Work) -> None:
    flights = Flights[str]()
    tasks = await started(*(flights.share("key", work) for _ in range(5)))
    (await work.begun.get()).set_result("done")
    assert await asyncio.gather(*tasks) == [("done", False)] + [("done", True)] * 4
    assert work.begun.empty()


async def test_other_keys_are_other_work(work: Work) -> None:
    flights = Flights[str]()
    tasks = await started(flights.share("a", work), flights.share("b", work))
    for name in "ab":
        (await work.begun.get()).set_result(name)
    assert await asyncio.gather(*tasks) == [("a", False), ("b", False)]


async def test_what_is_over_is_done_again(work: Work) -> None:
    flights = Flights[str]()
    for name in ("first", "second"):
        [task] = await started(flights.share("key", work))
        (await work.begun.get()).set_result(name)
        assert await task == (name, False)


async def test_when_one_fails_one_other_takes_over(work: Work) -> None:
    flights = Flights[str]()
    first, second, third = await started(*(flights.share("key", work) for _ in range(3)))
    (await work.begun.get()).set_exception(ValueError("its own"))
    with pytest.raises(ValueError, match="its own"):
        await first
    await settled()
    assert work.begun.qsize() == 1
    (await work.begun.get()).set_result("done")
    assert await second == ("done", False)
    assert await third == ("done", True)


async def test_when_one_is_cancelled_one_other_takes_over(work: Work) -> None:
    flights = Flights[str]()
    first, second, third = await started(*(flights.share("key", work) for _ in range(3)))
    first.cancel()
    await settled()
    assert first.cancelled()
    await work.begun.get()  # the first one's
    assert work.begun.qsize() == 1
    (await work.begun.get()).set_result("done")
    assert await second == ("done", False)
    assert await third == ("done", True)


async def test_who_stops_waiting_disturbs_nobody(work: Work) -> None:
    flights = Flights[str]()
    first, second, third = await started(*(flights.share("key", work) for _ in range(3)))
    second.cancel()
    await settled()
    assert second.cancelled() and not first.done() and not third.done()
    (await work.begun.get()).set_result("done")
    assert await first == ("done", False)
    assert await third == ("done", True)


async def test_all_may_fail_one_after_another(work: Work) -> None:
    flights = Flights[str]()
    tasks = await started(*(flights.share("key", work) for _ in range(3)))
    for number in range(3):
        assert work.begun.qsize() == 1
        (await work.begun.get()).set_exception(ValueError(str(number)))
        await settled()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert list(map(str, found)) == ["0", "1", "2"]
    assert not flights._under_way
