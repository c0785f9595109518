"""The children of one `up` in the order of their start, which is the reverse of their end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from bridge.up.child import Child, Program, how
from bridge.up.guard import Guard, kill_group
from bridge.up.start import start
from schemas.errors import BadSettings, Unavailable
from schemas.runtime import tasks
from schemas.runtime.loop import BAD_SETTINGS

Say = Callable[[str], None]
# A guard that dies again and again must not keep `up` busy.
_GUARD_PAUSE = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class House:
    """Lives as long as its course, a signal or a child that cannot run let it."""

    def __init__(self, guard: Guard, say: Say) -> None:
        self._guard = guard
        self._say = say
        self._children: list[Child] = []
        self._runs: list[asyncio.Task[None]] = []
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._steady = False

    async def live(self, course: Callable[[House], Coroutine[Any, Any, int]]) -> int:
        """The course's result, or that of what ended it: 0 for a signal once steady, else 1."""
        with self._signals(), self._guard_attended():
            task = asyncio.create_task(course(self))
            try:
                await asyncio.wait({task, self._ended}, return_when=asyncio.FIRST_COMPLETED)
                return self._ended.result() if self._ended.done() else task.result()
            finally:
                await tasks.end(task)
                await self._stop()

    def start(self, program: Program) -> Child:
        child = Child(program, self._guard, self._say)
        run = asyncio.create_task(child.run())
        run.add_done_callback(self._gave_up)
        self._children.append(child)
        self._runs.append(run)
        return child

    def settle(self) -> None:
        """All have run once: from now on each is restarted for ever."""
        for child in self._children:
            child.patience = None

    def steady(self) -> None:
        """From now on a signal is the way to end it, and no failure."""
        self._steady = True

    async def foreground(self, command: list[str], env: Mapping[str, str], what: str) -> None:
        """A program that shows a person its progress on our own stderr. Raises BadSettings or Unavailable when it
        fails.
        """
        process = await start(self._guard, command, env, asyncio.subprocess.DEVNULL, None)
        try:
            code = await process.wait()
        finally:
            kill_group(process.pid)
            self._guard.forget(process.pid)
        if code == BAD_SETTINGS:
            raise BadSettings("The worker refuses its settings: the line above says which.")
        if code:
            raise Unavailable(f"{what} ({how(code)}).")

    def _gave_up(self, run: asyncio.Task[None]) -> None:
        error = None if run.cancelled() else run.exception()
        if error is not None and not self._ended.done():
            self._ended.set_exception(error)

    async def _stop(self) -> None:
        """Who is served goes before who serves it."""
        if self._children:
            self._say("stopping ...")
        for child in reversed(self._children):
            await child.stop()
        await asyncio.gather(*self._runs, return_exceptions=True)

    @contextlib.contextmanager
    def _guard_attended(self) -> Iterator[None]:
        """Another takes its place when it dies: without one, an `up` that is killed leaves its children behind."""
        loop = asyncio.get_running_loop()
        waits: list[asyncio.TimerHandle] = []

        def attend() -> None:
            loop.add_reader(self._guard.end, died)

        def died() -> None:
            loop.remove_reader(self._guard.end)
            try:
                self._guard.replace()
                self._say(
                    "the guard had died, which ends the others when this is killed; another took its place"
                )
            except OSError as error:
                self._say(f"the guard died, and another cannot be started ({error.strerror}); trying again")
            waits[:] = [loop.call_later(_GUARD_PAUSE, attend)]

        attend()
        try:
            yield
        finally:
            loop.remove_reader(self._guard.end)
            for wait in waits:
                wait.cancel()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        """The first ends in order; the second at once."""
        if not self._ended.done():
            self._ended.set_result(0 if self._steady else 1)
            return
        for child in self._children:
            child.kill()
