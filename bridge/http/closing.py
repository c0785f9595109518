"""The end of the bridge while answers are on their way: for a time they may finish, then they are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

from schemas.errors import Unavailable


class Closing:
    """One of each bridge. Belongs to its event loop."""

    def __init__(self) -> None:
        self._over = False
        self._open: dict[object, Callable[[], None]] = {}

    def begin(self, seconds: float) -> None:
        """After so many, whoever is still at it is told."""
        asyncio.get_running_loop().call_later(seconds, self._tell)

    @contextlib.contextmanager
    def telling(self, end: Callable[[], None]) -> Iterator[None]:
        """`end` is called when it is time, while the block is open."""
        if self._over:
            end()
        this = object()
        self._open[this] = end
        try:
            yield
        finally:
            del self._open[this]

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """What is awaited inside is cancelled when it is time. Raises Unavailable then."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                with self.telling(lambda: limit.reschedule(loop.time())):
                    yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise over() from None

    def _tell(self) -> None:
        self._over = True
        for end in list(self._open.values()):
            end()


def over() -> Unavailable:
    return Unavailable("The bridge is shutting down; send the request again in a few seconds.")
