"""Tables that fit a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from bridge.cli.output import plain
from schemas.articles import Analysis

# What people want to see of the recipe that ships; any other recipe shows the fields that it has.
_COIN = ("sentiment", "coins", "importance", "summary")
_WIDTHS = {"sentiment": 9, "coins": 12, "importance": 10}
_ID_WIDTH = 18


def columns(result: Any) -> list[str]:
    names = list(result) if isinstance(result, dict) else []
    return [name for name in _COIN if name in names] or names


def analyses(rows: Iterable[Analysis]) -> Table:
    """One line each; what does not fit is shortened."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in columns(row.result)))
    built = table("id", *names)
    built.columns[0].max_width = _ID_WIDTH
    for column, name in zip(built.columns[1:], names, strict=True):
        column.max_width = _WIDTHS.get(name)
        column.ratio = None if name in _WIDTHS else 1
    for row in rows:
        result = row.result if isinstance(row.result, dict) else {}
        add(built, row.id, *(cell(result.get(name, "")) for name in names))
    return built


def line(row: Analysis) -> str:
    """The same as one line, for a feed."""
    fields = (cell(row.result[name]) for name in columns(row.result))
    return "  ".join([row.id, *fields])


def cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def table(*names: str) -> Table:
    built = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in names:
        built.add_column(name, no_wrap=True, overflow="ellipsis")
    return built


def add(built: Table, *cells: object) -> None:
    built.add_row(*(Text(" ".join(plain(value).split())) for value in cells))
