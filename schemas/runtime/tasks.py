"""Tasks that end when they are told to, although what they wait for may lose a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

# What a task does at its end, as giving back its work, has so long before it is disturbed.
_AGAIN = 1.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel until all are over; what they return or raise is nobody's any more.

    Once is not enough: nats-py waits with `asyncio.wait_for`, which before Python 3.12 drops a cancellation that
    comes together with what was waited for. Source: https://github.com/python/cpython/issues/86296.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks of which none outlives the block; the first failure among them is raised, and by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
