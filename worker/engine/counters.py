"""What the engine counts: plain numbers, written by its own thread and read by anyone."""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

from schemas.completion import Finish
from worker.jobs import LANES, JobLane

Step = Literal["decode", "prefill"]

_FINISHES = get_args(Finish)

# Seconds: of a queue for the first token, of one step for the others.
_WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_STEPS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12)
_ROWS = (1, 2, 4, 8, 12, 16, 20, 24, 32, 64, 128)


@dataclass(slots=True)
class Histogram:
    """How many values lay up to each bound, and above the last one."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(slots=True)
class Lookups:
    """How often a cache knew the answer, and how often not."""

    hits: int = 0
    misses: int = 0

    def add(self, hit: bool) -> None:
        if hit:
            self.hits += 1
        else:
            self.misses += 1


def _by_lane(bounds: tuple[float, ...]) -> dict[JobLane, Histogram]:
    return {lane: Histogram(bounds) for lane in LANES}


def _by_step() -> dict[Step, Histogram]:
    return {"decode": Histogram(_STEPS), "prefill": Histogram(_STEPS)}


@dataclass(slots=True)
class Counters:
    """Work done since the start. `prompt_tokens` are those that were computed, `prefix_tokens` those that a
    prefix had ready; `decode_tokens` are those that were shown. The bytes are of the last time somebody looked.
    """

    prompt_tokens: int = 0
    decode_tokens: int = 0
    prefix_tokens: int = 0
    prefixes: Lookups = field(default_factory=Lookups)
    ended: Counter[tuple[JobLane, str]] = field(default_factory=Counter)  # by lane and outcome
    first_token: dict[JobLane, Histogram] = field(default_factory=partial(_by_lane, _WAITS))
    between_tokens: dict[JobLane, Histogram] = field(default_factory=partial(_by_lane, _STEPS))
    by_step: dict[Step, Histogram] = field(default_factory=_by_step)
    rows: Histogram = field(default_factory=partial(Histogram, _ROWS))
    kv_bytes: int = 0
    prefix_bytes: int = 0

    @property
    def jobs(self) -> int:
        """Those that were answered."""
        return sum(count for (_, outcome), count in self.ended.copy().items() if outcome in _FINISHES)

    @property
    def steps(self) -> int:
        return sum(one.count for one in self.by_step.values())

    @property
    def busy_seconds(self) -> float:
        return sum(one.sum for one in self.by_step.values())

    def copy(self) -> Counters:
        return copy.deepcopy(self)

    def began(self, cached: int) -> None:
        """A prompt; so many of its tokens were known."""
        self.prefix_tokens += cached
        self.prefixes.add(cached > 0)

    def stepped(self, kind: Step, seconds: float) -> None:
        self.by_step[kind].add(seconds)

    def decoded(self, lanes: Iterable[JobLane], gap: float | None) -> None:
        """A decode step of a row for each of `lanes`, so many seconds after the one before it, if one was."""
        by_lane = Counter(lanes)
        self.rows.add(by_lane.total())
        if gap is not None:
            for lane, rows in by_lane.items():
                self.between_tokens[lane].add(gap, rows)
