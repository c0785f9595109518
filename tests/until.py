"""Looking again until it is so, where nothing tells: the state of a server, of another process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T]], wanted: T, within: float = 30) -> None:
    """Fails with what was seen last."""
    found = await look()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while found != wanted:
                await asyncio.sleep(0.05)
                found = await look()
    assert found == wanted
