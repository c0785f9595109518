"""What people and programs see: nothing from an article may speak to the terminal itself."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
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
    """One line that changes on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._live = Status("", console=err) if err.is_terminal else None
        self._next = time.monotonic() + _NEWS_EVERY

    def show(self, text: str) -> None:
        if self._live is not None:
            self._live.update(Text(text))
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
