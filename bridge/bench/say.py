"""What a benchmark tells the person who waits for it."""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """A line that stays, and one that the next may replace."""

    def line(self, text: str) -> None: ...

    def detail(self, text: str) -> None: ...
