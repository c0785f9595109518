"""Lists for people fit the terminal, whatever is in them, and keep their ids whole."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from bridge.cli.listing import PAGE, Column, Listing


def printed(capsys: pytest.CaptureFixture[str], *rows: tuple[object, ...]) -> list[str]:
    listing = Listing(Column("id"), Column("reason", 8), Column("error"))
    for row in rows:
        listing.add(*row)
    listing.flush()
    return capsys.readouterr().out.splitlines()


def test_short_ids_stand_in_their_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ("a", "x", "e" * 100), ("sample-01", "max_deliveries", "b\x1b[31m\nc")) == [
        "id         reason    error",
        "a          x         " + "e" * 58 + "…",
        "sample-01  max_del…  b [31m c",
    ]


def test_long_ids_stand_on_a_line_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    key = "k" * 64
    assert printed(capsys, ("short", "x", "one"), (key, "x", "two")) == [
        "id     reason  error", "short  x       one", key, "       x       two",
    ]  # fmt: skip


def test_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys) == []


def test_pages_share_their_widths_and_one_heading(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, *((f"n{n:04}", "x" * (n > PAGE), "e") for n in range(2 * PAGE + 1)))
    assert len(lines) == 2 * PAGE + 2
    assert [line.split()[0] for line in lines[1:]] == [f"n{n:04}" for n in range(2 * PAGE + 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=64),
            st.text(max_size=30),
            st.text(max_size=200),
        )
    )
)
def test_nothing_but_an_id_is_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], rows: list[tuple[str, str, str]]
) -> None:
    lines = printed(capsys, *rows)
    ids = {row[0] for row in rows}
    assert all(cell_len(line) <= 80 or line in ids for line in lines)
    assert all(any(line == key or line.startswith(f"{key} ") for line in lines) for key in ids)
