"""Long lists for people: printed as they come, within the terminal's width, and with their ids whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from bridge.cli.output import out, plain

_GAP = "  "
# Ids are copied and searched for, hence never cut: a longer one stands on a line of its own.
_ID_WIDTH = 18
# So many rows decide the widths of the columns, and are held at once.
PAGE = 500


class Column(NamedTuple):
    """`most` cells at most; None shares what the others leave."""

    name: str
    most: int | None = None


class Listing:
    """The first column is the id. Rows are printed a page at a time; the first page decides the widths."""

    def __init__(self, *columns: Column) -> None:
        self.columns = columns
        self._widths: list[int] = []
        self._rows: list[list[str]] = []

    def add(self, *cells: object) -> None:
        self._rows.append([" ".join(plain(cell).split()) for cell in cells])
        if len(self._rows) == PAGE:
            self.flush()

    def flush(self) -> None:
        """Print what was added; call it at the end."""
        if not self._rows:
            return
        if not self._widths:
            self._widths = _widths(self.columns, self._rows, out.width)
            names = [column.name for column in self.columns]
            out.print(Text("\n".join(self._lines(names)), style="bold"), soft_wrap=True)
        sys.stdout.writelines(f"{line}\n" for row in self._rows for line in self._lines(row))
        sys.stdout.flush()
        self._rows = []

    def _lines(self, row: Sequence[str]) -> Iterator[str]:
        name, *others = row
        width, *widths = self._widths
        fit = [_fit(cell, most) for cell, most in zip(others, widths, strict=True)]
        if cell_len(name) > width:
            yield name
            name = ""
        yield _GAP.join([set_cell_size(name, width), *fit]).rstrip()


def _fit(cell: str, width: int) -> str:
    return set_cell_size(cell, width) if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], total: int) -> list[int]:
    ids = [cell_len(row[0]) for row in rows]
    widths = [max([len(columns[0].name), *(size for size in ids if size <= _ID_WIDTH)])]
    for at, column in enumerate(columns[1:], 1):
        longest = max(len(column.name), *(cell_len(row[at]) for row in rows))
        widths.append(min(longest, column.most) if column.most else 0)
    left = total - sum(widths) - len(_GAP) * (len(widths) - 1)
    open_ones = widths.count(0)
    return [width or max(len(columns[at].name), left // open_ones) for at, width in enumerate(widths)]
