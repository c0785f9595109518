"""What people and programs see: nothing from an article may speak to the terminal itself."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from schemas.codec import encode

out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)

# C0, DEL and C1, but for the line feed and the tab.
_CONTROL = {n: " " for n in (*range(32), *range(127, 160)) if chr(n) not in "\n\t"}
_NEWS_EVERY = 10.0


def plain(text: object) -> str:
    """Without what would move a cursor or change a colour."""
    return str(text).translate(_CONTROL)


def note(text: str) -> None:
    """A line for the person, beside the data."""
    err.print(Text(plain(text)), soft_wrap=True)


def say(text: str) -> None:
    """A line of the answer."""
    out.print(Text(plain(text)), soft_wrap=True)


def json_line(value: object) -> None:
    """One object for a program, at once: it may follow."""
    sys.stdout.write(encode(value).decode() + "\n")
    sys.stdout.flush()


class Progress:
    """A bar with a line that changes on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._live = _bar() if err.is_terminal else None
        self._next = time.monotonic() + _NEWS_EVERY

    def show(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Without a total it only moves. The total may grow."""
        if self._live is not None:
            self._live.update(self._live.task_ids[0], description=plain(text), completed=done, total=total)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _NEWS_EVERY
            note(text)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _bar() -> rich.progress.Progress:
    """It leaves nothing behind: what stays is the summary."""
    text = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True))
    time_left = TimeRemainingColumn(compact=True)
    bar = rich.progress.Progress(BarColumn(20), text, time_left, console=err, transient=True, expand=True)
    bar.add_task("", total=None)
    return bar
