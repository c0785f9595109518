"""A chore goes on whatever its step meets, and says what that was."""

from __future__ import annotations

import asyncio

import pytest
from nats.errors import TimeoutError as NatsTimeout

from worker.transport import loop
from worker.transport.loop import Loop


@pytest.mark.parametrize("error", [NatsTimeout(), RuntimeError("odd")])
async def test_a_step_that_fails_is_told_and_done_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_BACK_OFF", 0)
    done, failing = asyncio.Event(), [error]

    async def step() -> None:
        if failing:
            raise failing.pop()
        done.set()
        await asyncio.sleep(0)

    chore = Loop("chore", step)
    chore.start()
    async with asyncio.timeout(10):
        await done.wait()
    await chore.stop()
    assert caplog.text.count("step_failed") == 1
