"""Traces as W3C's Trace Context has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import trace
from schemas.trace import Trace

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEX = st.text("0123456789abcdef", min_size=1)


def test_a_header_is_read_and_written_as_it_was() -> None:
    found = trace.parse(f" {GOOD} ")
    assert found == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")
    assert str(found) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "junk", GOOD.upper(), GOOD[:-1], f"{GOOD}-more", GOOD.replace("00-4b", "ff-4b")),
        *(f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{'a' * 32}-{'0' * 16}-01"),
    ],
)
def test_what_is_none_is_ignored(text: str | None) -> None:
    assert trace.parse(text) is None
    assert trace.of({"traceparent": text} if text else None) != trace.of({})


@given(st.text(), HEX)
def test_any_text_is_read_or_ignored(text: str, digits: str) -> None:
    for one in (text, f"00-{digits}-{digits}-01"):
        found = trace.parse(one)
        assert found is None or str(found) == f"00-{one.strip()[3:]}"


def test_a_child_is_of_the_same_trace() -> None:
    first = trace.new()
    child = first.child()
    assert child.trace_id == first.trace_id
    assert child.span_id != first.span_id
    assert trace.parse(str(child)) == child
