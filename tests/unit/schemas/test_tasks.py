"""Tasks are over once they were told to end, also where a cancellation got lost."""

from __future__ import annotations

import asyncio
import sys

import pytest

from schemas.runtime import tasks


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio.wait_for keeps a cancellation there")
async def test_a_wait_that_loses_its_cancellation() -> None:
    """Of Python itself, so that nobody takes the helper for superstition."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(asyncio.wait_for(answer, 60))
    await asyncio.sleep(0)
    answer.set_result("here")
    waiting.cancel()
    assert await waiting == "here"


async def test_a_task_that_loses_a_cancellation_is_ended() -> None:
    lost = 0

    async def go_on() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    going = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await tasks.end(going)
    assert going.cancelled()
    assert lost == 1


async def test_what_a_task_does_at_its_end_is_not_disturbed() -> None:
    given_back = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            given_back.set()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await tasks.end(working)
    assert given_back.is_set()


async def test_errors_of_what_is_over_are_nobodys() -> None:
    async def fail() -> None:
        raise ValueError

    async with asyncio.timeout(10):
        await tasks.end(asyncio.create_task(fail()))
        await tasks.end()
