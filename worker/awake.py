"""Keeps a Mac from falling asleep while there is work, and only then, and only on power."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable

from schemas.runtime import log as logs

log = logs.get("worker.awake")

_LOOK_EVERY = 2.0
# Between two pieces of work, and between two looks at the power supply.
_GRACE = 30.0
_POWER_EVERY = 30.0
_PATIENCE = 5.0


class Awake:
    """Holds `caffeinate -i` while `busy` says so. It watches this process, so that it never outlives it.

    Where there is no such program (only macOS has it) nothing happens. Source: caffeinate(8), pmset(1).
    """

    def __init__(
        self, busy: Callable[[], bool], *, look_every: float = _LOOK_EVERY, grace: float = _GRACE
    ) -> None:
        self._busy = busy
        self._look_every = look_every
        self._grace = grace
        self._busy_until = 0.0
        self._powered: tuple[float, bool] | None = None  # when it was looked at, and what it was
        self._held: Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if shutil.which("caffeinate") is not None:
            self._task = asyncio.create_task(self._watch(), name="awake")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._release()

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except OSError as error:
                log.warning("not_kept_awake", error=error.strerror)
            await asyncio.sleep(self._look_every)

    async def _look(self) -> None:
        now = time.monotonic()
        if self._busy():
            self._busy_until = now + self._grace
        if now < self._busy_until and await self._on_power(now):
            await self._hold()
        else:
            await self._release()

    async def _hold(self) -> None:
        if self._held is not None and self._held.returncode is None:
            return
        if self._held is not None:
            log.warning("caffeinate_ended", code=self._held.returncode, hint="it is started again")
        self._held = await asyncio.create_subprocess_exec(
            "caffeinate", "-i", "-w", str(os.getpid()), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        log.info("kept_awake")

    async def _release(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        with contextlib.suppress(ProcessLookupError):
            held.terminate()
        await held.wait()
        log.info("may_sleep")

    async def _on_power(self, now: float) -> bool:
        """As it was at most half a minute ago. A Mac without a battery always is."""
        if self._powered is None or now - self._powered[0] >= _POWER_EVERY:
            self._powered = now, b"'Battery Power'" not in await self._supply()
        return self._powered[1]

    async def _supply(self) -> bytes:
        asking = await asyncio.create_subprocess_exec(
            "pmset", "-g", "batt", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                return (await asking.communicate())[0]
        except TimeoutError:
            asking.kill()
            await asking.wait()
            return b""
