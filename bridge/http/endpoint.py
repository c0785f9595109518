"""How one endpoint is told of: what it takes, what it gives, and how it may fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.errors import LlmError


@dataclass(frozen=True)
class Content:
    """A body: its shape (a Struct, or `str` for what is no JSON), and one that is real."""

    shape: Any
    example: Any
    media: str = "application/json"
    about: str = ""


@dataclass(frozen=True)
class Parameter:
    """A part of the path (`place` is `path`) or a header."""

    name: str
    place: str
    about: str
    schema: dict[str, Any]
    example: str


@dataclass(frozen=True)
class Endpoint:
    """`errors` are those of its own; every one may fail as `LlmError` does. `query` is a Struct of the parameters,
    `also` what it takes instead of `takes`.
    """

    method: str
    path: str
    summary: str
    gives: tuple[Content, ...]
    takes: Content | None = None
    errors: tuple[type[LlmError], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    query: type[msgspec.Struct] | None = None
    also: tuple[Content, ...] = ()
    status: int = 200
