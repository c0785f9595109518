"""Numbers out of repeated runs. Pure: one lucky run must not become a figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Series(msgspec.Struct, frozen=True):
    """One measure, a value for each run or try."""

    name: str
    unit: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Goal(msgspec.Struct, frozen=True):
    """A bound that a figure has to keep."""

    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"


class Figure(msgspec.Struct, frozen=True):
    """What a workload is about: mostly a ratio, with what each run said of it."""

    name: str
    value: float
    values: list[float]
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met(self.value)


def at_least(bound: float) -> Goal:
    return Goal(bound)


def at_most(bound: float) -> Goal:
    return Goal(bound, at_most=True)


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], goal: Goal | None = None) -> Figure:
    """The median of the ratios run by run: what slows the machine down for a while slows both sides."""
    values = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Figure(name, statistics.median(values), values, goal)


def percentile(values: Sequence[float], percent: float) -> float:
    """By interpolation between the two nearest."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def rotated(items: Sequence[T], turn: int) -> list[T]:
    """Another one goes first in each turn: none always runs on the machine that the same other has left."""
    start = turn % len(items) if items else 0
    return [*items[start:], *items[:start]]
