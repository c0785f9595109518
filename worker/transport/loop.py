"""A chore that goes on until it is stopped: a step that fails is logged and waited out, never the end of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nats.errors import Error as NatsError

from schemas.runtime import log as logs

log = logs.get("worker.loop")

_BACK_OFF = 1.0


class Loop:
    """Runs `step` again and again, `every` seconds apart."""

    def __init__(self, name: str, step: Callable[[], Awaitable[None]], every: float = 0.0) -> None:
        self._name = name
        self._step = step
        self._every = every
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Let the step that runs come to its end: a fetch that is cancelled leaves its pull open."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self.stopping:
            try:
                await self._step()
            except NatsError as error:
                log.warning("step_failed", loop=self._name, error=str(error))
                await self._pause(_BACK_OFF)
            except Exception:
                log.exception("step_failed", loop=self._name)
                await self._pause(_BACK_OFF)
            await self._pause(self._every)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0 and not self.stopping:
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                pass
