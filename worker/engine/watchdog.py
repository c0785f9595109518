"""What hangs on the device cannot be interrupted: the process ends instead, and its supervisor starts it again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.runtime import log as logs

log = logs.get("worker.watchdog")

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


class Watchdog:
    """Watches over one piece of work at a time; `limit` is in seconds."""

    def __init__(self, limit: float, end: Callable[[int], object] = os._exit) -> None:
        self._limit = limit
        self._end = end
        self._due: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def give_up(self) -> None:
        """End the process: what is watched over is broken beyond repair."""
        self._end(EXIT_CODE)

    @contextmanager
    def over(self) -> Iterator[None]:
        """The work inside must be done within the limit."""
        self._due = time.monotonic() + self._limit
        try:
            yield
        finally:
            self._due = None

    def _watch(self) -> None:
        while not self._stopped.wait(min(1.0, self._limit / 4)):
            due = self._due
            if due is not None and time.monotonic() > due:
                log.critical("engine_step_hangs", limit=self._limit, hint="ending, to be started again")
                self.give_up()
                return
