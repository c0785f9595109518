"""What a worker counts, as it crosses NATS: the `data` of its service's statistics (ADR-32), asked for when needed."""

from __future__ import annotations

import msgspec


class Histogram(msgspec.Struct, frozen=True):
    """`counts[i]` values were at most `bounds[i]` and above the bound before it; the last count has no bound."""

    bounds: list[float]
    counts: list[int]
    sum: float

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError("a histogram has one count more than bounds")


class Lookups(msgspec.Struct, frozen=True):
    """How often a cache knew the answer, and how often not."""

    hits: int = 0
    misses: int = 0


class WorkerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Since the worker's start, but for the bytes, which are of now. Times in seconds.

    A newer worker may say more, an older one less: what is not said counts as nothing. `ended` is by lane and
    outcome (a finish reason, an error's code, `cancelled`), the token times by lane, `steps` by kind. Of
    prompts, `prefix_tokens` were known before and are not among `prompt_tokens`.
    """

    prompt_tokens: int = 0
    prefix_tokens: int = 0
    decode_tokens: int = 0
    ended: dict[str, dict[str, int]] = {}
    first_token: dict[str, Histogram] = {}
    between_tokens: dict[str, Histogram] = {}
    steps: dict[str, Histogram] = {}
    rows: Histogram | None = None
    lookups: dict[str, Lookups] = {}
    kv_bytes: int = 0
    kv_limit_bytes: int = 0
    prefix_bytes: int = 0
    memory_limit_bytes: int = 0
