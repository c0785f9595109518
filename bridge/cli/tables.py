"""Tables that fit a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from bridge.cli.listing import Column, Listing
from bridge.cli.output import plain
from schemas.articles import Analysis

# What people want to see of the recipe that ships; any other recipe shows the fields that it has.
_COIN = ("sentiment", "coins", "importance", "summary")
_WIDTHS = {"sentiment": 9, "coins": 12, "importance": 10}


def columns(result: Any) -> list[str]:
    names = list(result) if isinstance(result, dict) else []
    return [name for name in _COIN if name in names] or names


class Analyses:
    """A list of them, printed as they come; the recipe's fields are its columns. Call flush() at the end."""

    def __init__(self) -> None:
        self._listing: Listing | None = None
        self._names: list[str] = []

    def add(self, row: Analysis) -> None:
        names = columns(row.result)
        if self._listing is None or not set(names) <= set(self._names):
            self.flush()
            self._listing = Listing(Column("id"), *(Column(name, _WIDTHS.get(name)) for name in names))
            self._names = names
        result = row.result if isinstance(row.result, dict) else {}
        self._listing.add(row.id, *(cell(result.get(name, "")) for name in self._names))

    def flush(self) -> None:
        if self._listing is not None:
            self._listing.flush()


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
