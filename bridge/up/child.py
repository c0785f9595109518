"""One child process: started, restarted with growing delays when it dies, and stopped for good on request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from bridge.up.guard import Guard, kill_group
from bridge.up.start import start
from schemas.errors import BadSettings, Conflict, Unavailable
from schemas.runtime.loop import BAD_SETTINGS, CANNOT_RUN

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 1.0, 30.0, 60.0


class Program(NamedTuple):
    """What runs under which name, how it is told where, and how long it may take to end in order."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    log: Path
    grace: float = 10.0


class Child:
    """A program kept running. `patience` limits the deaths in a row; None is for ever."""

    def __init__(self, program: Program, guard: Guard, say: Callable[[str], None]) -> None:
        self.program = program
        self.pid: int | None = None
        self.patience: int | None = 3
        self._guard = guard
        self._say = say
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._deaths = 0

    async def run(self) -> None:
        """Until stop(). Raises BadSettings, Conflict or Unavailable when the program cannot run at all."""
        try:
            while not self._stopping.is_set():
                started = time.monotonic()
                code = await self._once()
                if not self._stopping.is_set():
                    self._deaths = 1 if time.monotonic() - started >= HEALTHY_AFTER else self._deaths + 1
                    await self._mourn(code)
        finally:
            self.kill()

    def end(self) -> None:
        """Ask this life of it to end in order; another begins as after any death, unless it is stopped."""
        if self.pid is not None:
            # The process itself only: it ends its own children in its own order.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    async def stop(self) -> None:
        """Ask, wait for the grace, then kill."""
        self._stopping.set()
        self.end()
        try:
            await asyncio.wait_for(self._idle.wait(), self.program.grace)
        except TimeoutError:
            self._say(f"{self.program.name} did not end within {self.program.grace:g} s: killed")
            self.kill()
            await self._idle.wait()

    def kill(self) -> None:
        """At once, with all that it started."""
        self._stopping.set()
        if self.pid is not None:
            kill_group(self.pid)

    async def _once(self) -> int:
        self._idle.clear()
        try:
            with self.program.log.open("ab") as log:
                process = await start(self._guard, self.program.command, self.program.env, log, log)
            self.pid = process.pid
            try:
                if self._stopping.is_set():  # stop() came while it was starting, and saw nobody
                    process.terminate()
                return await process.wait()
            finally:
                self.pid = None
                # What it left behind must not outlive it.
                kill_group(process.pid)
                self._guard.forget(process.pid)
        finally:
            self._idle.set()

    async def _mourn(self, code: int) -> None:
        if code == BAD_SETTINGS:
            raise BadSettings(self._what("refuses its settings"))
        if code == CANNOT_RUN:
            raise Conflict(self._what("cannot run here"))
        if self.patience is not None and self._deaths >= self.patience:
            raise Unavailable(self._what(f"does not start ({how(code)})"))
        delay = min(FIRST_DELAY * 2 ** min(self._deaths - 1, 10), LONGEST_DELAY)
        self._say(f"{self.program.name} ended ({how(code)}); it starts again in {delay:g} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay)

    def _what(self, happened: str) -> str:
        return f"{self.program.name} {happened}: {last_line(self.program.log)} (log: {self.program.log})"


def how(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def last_line(log: Path) -> str:
    """What the program said last: the message of a JSON line, else the line."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        lines = file.read().decode(errors="replace").splitlines()
    text = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    with contextlib.suppress(msgspec.DecodeError):
        fields = msgspec.json.decode(text, type=dict[str, object])
        return str(fields.get("error") or fields.get("reason") or fields.get("event") or text)
    return text
