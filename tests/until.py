"""Looking again until it is so, where nothing tells: the state of a server, of another process or thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_AGAIN = 0.02


async def seen(look: Callable[[], Awaitable[T]], suits: Callable[[T], bool] = bool, within: float = 30) -> T:
    """What is seen as soon as it suits. Fails with what was seen last."""
    found = await look()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not suits(found):
                await asyncio.sleep(_AGAIN)
                found = await look()
    assert suits(found), f"after {within:g} s: {found!r}"
    return found


async def until(look: Callable[[], Awaitable[T]], wanted: T, within: float = 30) -> None:
    """Wait until just that is seen."""
    await seen(look, lambda found: found == wanted, within)


async def holds(condition: Callable[[], object], within: float = 30) -> None:
    """Wait until it is true of this process, or of its files."""

    async def look() -> bool:
        return bool(condition())

    await seen(look, within=within)
