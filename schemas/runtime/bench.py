"""What `nats-mlx bench` asks of its helper in the worker's package: a command a line in, an answer a line out."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.articles import Article

RECIPE = "coin"


class Render(msgspec.Struct, frozen=True, tag=True):
    """The articles as chat requests."""

    articles: list[Article]


class Generate(msgspec.Struct, frozen=True, tag=True):
    """mlx_lm's BatchGenerator on the articles' prompts: `tokens[i]` new ones for the i-th, `rows` at once.

    `shared`: the state of what all prompts begin with is computed once and copied.
    """

    articles: list[Article]
    tokens: list[int]
    rows: int
    shared: bool


class Work(msgspec.Struct, frozen=True, tag=True):
    """The articles through our engine, no transport: `rows` at once, prompts in chunks of `chunk` tokens,
    `stretch` of them between two decode steps.
    """

    articles: list[Article]
    rows: int
    chunk: int
    stretch: int


class Ask(msgspec.Struct, frozen=True, tag=True):
    """One chat request through our engine."""

    request: dict[str, Any]


class Serve(msgspec.Struct, frozen=True, tag=True):
    """Be the worker of the house that the helper's settings name, with the engine that answers `Ask`: as long as the
    helper lives.
    """


class Decode(msgspec.Struct, frozen=True, tag=True):
    """Decode steps of `rows` answers side by side: guided by a grammar, or free text."""

    rows: int
    tokens: int
    guided: bool


Command = Render | Generate | Work | Ask | Serve | Decode


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """`requests[i]` is the i-th article's chat request, `prompt_tokens[i]` its length. `shared` tokens begin all.

    For `live` seconds after a chat the engine expects the next one.
    """

    model: str
    folder: str
    slots: int
    chunk: int
    stretch: int
    live: float
    eos: list[int]
    shared: int
    requests: list[dict[str, Any]]
    prompt_tokens: list[int]


class Took(msgspec.Struct, frozen=True, tag=True):
    """Seconds of a piece of work, its tokens, and when the first one of an answer came."""

    seconds: float
    prompt_tokens: int
    new_tokens: int
    first: float = 0.0


class Serving(msgspec.Struct, frozen=True, tag=True):
    """It takes work now."""


class Rate(msgspec.Struct, frozen=True, tag=True):
    """Steps per second while all rows were there."""

    steps_per_second: float
    steps: int


class Fault(msgspec.Struct, frozen=True, tag=True):
    """It could not be done."""

    message: str


Answer = Rendered | Took | Serving | Rate | Fault
