"""An input file's lines before anything runs: what is refused, by its number, and what each line is to its endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batches import check
from bridge.batches.check import Check
from schemas import streams
from schemas.batches import MAX_LINES
from schemas.codec import encode

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
MESSAGES = [{"role": "user", "content": "hi"}]


def line(custom_id: object = "a", **fields: object) -> dict[str, Any]:
    body = {"model": "m", "messages": MESSAGES}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | fields


def checked(*lines: object, endpoint: str = CHAT) -> Check:
    found = Check(endpoint)
    for one in lines:
        found.line(one if isinstance(one, bytes) else encode(one))
    found.end()
    return found


def test_a_good_file() -> None:
    found = checked(line("a"), line("b"))
    assert (found.total, found.refused, found.model, found.faults) == (2, 0, "m", [])


def test_a_byte_order_mark_is_no_fault() -> None:
    assert checked(b"\xef\xbb\xbf" + encode(line())).faults == []


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        (b"", "invalid_json_line", None),
        (b" \t", "invalid_json_line", None),
        (b"{", "invalid_json_line", None),
        (b"\xff", "invalid_json_line", None),
        (b"[" * 100_000, "invalid_value", None),
        (b"[]", "invalid_value", None),
        ({"custom_id": "b"}, "missing_required_parameter", "method"),
        (line(1), "invalid_value", "custom_id"),
        (line(""), "invalid_value", "custom_id"),
        (line("x" * 513), "invalid_value", "custom_id"),
        (line("b", more=1), "unknown_parameter", "more"),
        (line("b", method="GET"), "invalid_method", "method"),
        (line("b", url=RESPONSES), "url_mismatch", "url"),
        (line("a"), "duplicate_custom_id", "custom_id"),
        (line("b", body=[]), "invalid_value", "body"),
        (line("b", body={"model": "m", "stream": True}), "invalid_value", "body.stream"),
        (line("b", body={"model": "other"}), "model_mismatch", "body.model"),
        (line("b", body={}), "model_mismatch", "body.model"),
        (line("b", body={"model": "m", "x": json.loads("[" * 200 + "]" * 200)}), "invalid_value", "x"),
        (
            line("b", body={"model": "m", "x": "y" * streams.BATCH_LINES.max_msg_size}),
            "request_too_large",
            "body",
        ),
        (line("b", body={"x": "y" * check.LONGEST}), "request_too_large", "body"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_fault_has_its_line(wrong: object, code: str, param: str | None) -> None:
    found = checked(line("a"), wrong, line("c"))
    assert [(one.line, one.code, one.param) for one in found.faults] == [(2, code, param)]
    assert len(found.faults[0].message) < 300


@pytest.mark.parametrize("over", [0, 1])
def test_the_longest_line_is_one_that_the_queue_takes(over: int) -> None:
    """The server counts its header as well."""
    most = streams.BATCH_LINES.max_msg_size - len(b"NATS/1.0\r\nLlm-Api: chat\r\n\r\n")
    empty = encode({"model": "m", "x": ""})
    found = checked(line("a", body={"model": "m", "x": "y" * (most - len(empty) + over)}))
    assert [one.code for one in found.faults] == ["request_too_large"] * over


def test_an_empty_file_and_too_many_lines() -> None:
    assert [one.code for one in checked().faults] == ["empty_file"]
    found = Check(CHAT)
    for number in range(MAX_LINES + 1):
        assert not found.over
        found.line(encode(line(str(number))))
    assert (found.over, [one.code for one in found.faults]) == (True, ["too_many_tasks"])


def test_enough_faults_are_enough() -> None:
    found = Check(CHAT)
    for _ in range(check.MOST_FAULTS):
        assert not found.over
        found.line(b"{")
    assert found.over


def test_what_is_no_request_of_the_endpoint_is_a_line_that_fails() -> None:
    lines = [line(str(number), url=RESPONSES, body=body) for number, body in enumerate((
        {"input": "hi"}, {"input": "hi", "temperature": 9}, {"input": "hi", "store": True},
        {"input": "hi", "previous_response_id": "resp_x"}, {},
    ))]  # fmt: skip
    found = checked(*lines, endpoint=RESPONSES)
    assert (found.total, found.refused, found.faults) == (5, 4, [])


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_nothing_hurts(lines: list[bytes]) -> None:
    found = checked(*lines)
    assert len(found.faults) >= (1 if lines == [] else 0)
    assert all(one.line is None or 1 <= one.line <= len(lines) for one in found.faults)
