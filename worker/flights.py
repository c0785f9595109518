"""The same work asked for several times at once is done once: the first one works, the others wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.landed: list[T] = []  # nothing in it: the one who worked has failed or was cancelled


class Flights(Generic[T]):
    """Work under way, by key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Flight[T]] = {}

    async def share(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result, and whether somebody else's `work` made it.

        When that one fails, its error is its own: the first who waited works now, the others wait on.
        """
        while (flight := self._under_way.get(key)) is not None:
            await flight.over.wait()
            if flight.landed:
                return flight.landed[0], True
        return await self._lead(key, work), False

    async def _lead(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        flight = self._under_way[key] = _Flight[T]()
        try:
            result = await work()
            flight.landed.append(result)
            return result
        finally:
            del self._under_way[key]
            flight.over.set()
