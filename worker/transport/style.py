"""What an answer looks like at one of OpenAI's endpoints: made of a job's events, whole or in chunks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec import UnsetType

from schemas.completion import Usage
from worker.jobs import Ended, Piece


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer and each chunk of it begin with; `created` is in seconds since 1970."""

    id: str
    created: int
    model: str


class Style(Protocol):
    """Of one answer: either it is taken in and told as a whole, or each event becomes a part of a chunk."""

    def __init__(self, choices: int, logprobs: bool) -> None: ...

    def add(self, event: Piece | Ended) -> None:
        """Take in more of a whole answer."""

    def whole(self, head: Head, usage: Usage) -> msgspec.Struct: ...

    def opening(self, choice: int) -> Any:
        """The first part of each choice, before anything of it is computed."""

    def nothing(self, choice: int) -> Any:
        """A sign of life."""

    def part(self, event: Piece | Ended) -> Any:
        """More of a choice."""

    def chunk(self, head: Head, parts: list[Any], usage: Usage | UnsetType | None) -> msgspec.Struct: ...
