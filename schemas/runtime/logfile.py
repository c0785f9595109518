"""A log file that ends: a new one each day and at its size, and all of its folder's old ones within a bound."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

DAY = 86400.0


class LogFile(logging.StreamHandler[TextIO]):
    """Appends to `path`; whoever else renames it is noticed, too.

    Old files are `<name>.<moment>`. Those of the whole folder go after `days`, and the oldest first when all
    files together have more than `total` bytes. `captured`: what is written to stderr past us goes there too, such
    as the last words of a library that aborts.
    """

    def __init__(self, path: Path, total: int, days: float, *, captured: bool) -> None:
        self._path = path
        self._total = total
        self._days = days
        self._captured = captured
        super().__init__(self._opened())
        self._prune()

    def emit(self, record: logging.LogRecord) -> None:
        """Logging calls it under its lock."""
        try:
            self._turn()
        except OSError as error:  # a full disk, a folder that went: the line may still find its way
            self._complain(error)
        super().emit(record)

    def close(self) -> None:
        self.stream.close()
        super().close()

    def _turn(self) -> None:
        """Go on in another file where this one is full, of yesterday or moved away."""
        mine = os.fstat(self.stream.fileno())
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            self._reopen()
            return
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            self._reopen()
        elif mine.st_size and (mine.st_size >= self._total // 10 or _day(mine.st_mtime) != _day(time.time())):
            moment = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
            self._path.rename(f"{self._path}.{moment}")
            self._reopen()
            self._prune()

    def _opened(self) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        stream = self._path.open("a", encoding="utf-8", errors="backslashreplace")
        if self._captured:
            os.dup2(stream.fileno(), sys.__stderr__.fileno() if sys.__stderr__ else 2)
        return stream

    def _reopen(self) -> None:
        old, self.stream = self.stream, self._opened()
        old.close()

    def _prune(self) -> None:
        """Files in use stay; a neighbour that prunes at the same time does no harm."""
        files = sorted(_files(self._path.parent), key=lambda one: one[0].st_mtime)
        size = sum(found.st_size for found, _ in files)
        oldest = time.time() - self._days * DAY
        for found, file in files:
            if file.suffix != ".log" and (size > self._total or found.st_mtime < oldest):
                file.unlink(missing_ok=True)
                size -= found.st_size

    def _complain(self, error: OSError) -> None:
        if sys.__stderr__ is not None:
            sys.__stderr__.write(f"the log file {self._path} cannot be turned over: {error.strerror}\n")


def _files(folder: Path) -> Iterator[tuple[os.stat_result, Path]]:
    for file in folder.glob("*.log*"):
        with contextlib.suppress(FileNotFoundError):  # a neighbour pruned it in this moment
            found = file.stat()
            if stat.S_ISREG(found.st_mode):
                yield found, file


def _day(moment: float) -> dt.date:
    return dt.datetime.fromtimestamp(moment, dt.UTC).date()
