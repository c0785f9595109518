"""How deep a body may be nested: an exact answer, whatever stands in its strings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import depth
from schemas.errors import BadRequest

LEAVES = st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\a:,é', max_size=300)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def nested(levels: int, leaf: Any = "x") -> Any:
    for _ in range(levels):
        leaf = [leaf]
    return leaf


@settings(max_examples=40)
@given(st.dictionaries(st.text(alphabet='[]{}"\\a', min_size=1), JSON, max_size=5))
def test_what_people_send_passes(body: dict[str, Any]) -> None:
    depth.check(json.dumps(body).encode())
    depth.check(json.dumps(body | {"pad": [[]] * 200}, ensure_ascii=False).encode())


@given(st.text(alphabet='[]{}"\\aé', min_size=1, max_size=40), st.integers(128, 400))
def test_what_is_too_deep_is_named(name: str, levels: int) -> None:
    body = {"before": {"[": "]" * 200}, name: nested(levels), "after": "[" * 200}
    with pytest.raises(BadRequest) as caught:
        depth.check(json.dumps(body, ensure_ascii=False).encode())
    assert caught.value.code == "invalid_value"
    escaped = json.dumps(name, ensure_ascii=False)[1:-1]
    assert caught.value.param == escaped


def test_the_border_is_exact() -> None:
    depth.check(json.dumps({"a": nested(127), "pad": [[]] * 200}).encode())
    with pytest.raises(BadRequest):
        depth.check(json.dumps({"a": nested(128)}).encode())


@pytest.mark.parametrize(
    "body",
    [b"[" * 1_000_000, b'{"a":' * 200_000, b'"' * 1_000_001, b'["' + b"\\" * 1_000_000, b"]" * 1_000_000],
)
def test_what_is_no_json_takes_no_time_and_raises_nothing_else(body: bytes) -> None:
    try:
        depth.check(body)
    except BadRequest as error:
        assert len(error.message) < 1100
