"""A benchmark's report as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.bench.figures import Figure, Series
from bridge.bench.report import Report
from bridge.cli import tables
from bridge.cli.output import out, say

_NUMBERS = 8


def show(report: Report) -> None:
    for line in about(report):
        say(line)
    say("")
    _series(report.series)
    say("")
    _figures(report.figures)
    for text in report.notes:
        say(f"- {text}")


def about(report: Report) -> Iterator[str]:
    """Machine, versions and what was asked for."""
    machine = report.machine
    yield f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB, load {machine.load:g}"
    yield machine.system
    yield ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield ", ".join(f"{name} {value}" for name, value in report.settings.items() if value is not None)


def number(value: float) -> str:
    """Three or four digits that say something."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def verdict(figure: Figure) -> str:
    return {None: "", True: "reached", False: "missed"}[figure.met]


def _series(series: Sequence[Series]) -> None:
    built = tables.table("measure", "median", "least", "most", "runs", "unit")
    for column in built.columns[1:5]:
        column.justify, column.min_width = "right", _NUMBERS - 2
    built.columns[0].ratio = 1
    built.columns[5].min_width = len("articles/min")
    for one in series:
        if one.values:
            extremes = number(one.median), number(min(one.values)), number(max(one.values))
            tables.add(built, one.name, *extremes, len(one.values), one.unit)
    out.print(built)


def _figures(figures: Sequence[Figure]) -> None:
    built = tables.table("figure", "value", "goal", "")
    built.columns[0].ratio = 1
    built.columns[1].justify = "right"
    for column, width in zip(built.columns[1:], (_NUMBERS, 14, 7), strict=True):
        column.min_width = width
    for one in figures:
        tables.add(built, one.name, number(one.value), one.goal or "", verdict(one))
    out.print(built)
