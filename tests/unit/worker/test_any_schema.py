"""The subset check, given anything that a client may call a JSON Schema: it passes, or is refused by name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import BadRequest
from tests.unit.schemas.test_codec import json_values
from worker.engine import subset

KEYWORDS = (
    "$ref $defs definitions properties patternProperties required items prefixItems anyOf allOf oneOf not if const "
    "enum minimum maximum multipleOf pattern minLength minProperties additionalProperties format type"
).split()
schemas = st.recursive(
    json_values | st.just(10**400) | st.sampled_from(["#", "#/$defs/a", "#/properties/~1", "(", "[[:a:]]"]),
    lambda inner: st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
).filter(lambda value: isinstance(value, dict))


@given(schemas)
def test_any_schema_passes_or_is_refused(schema: dict[str, Any]) -> None:
    try:
        subset.check(json.loads(json.dumps(schema)), control=re.compile("<end>"))
    except BadRequest as error:
        assert (error.code, error.param) == ("unsupported_schema", "response_format")


@pytest.mark.parametrize("value", [-1, 1.5, "text", True, [1], None])
@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_with_a_value_of_another_kind_is_left_to_the_compiler(keyword: str, value: Any) -> None:
    """`properties: -1` was a 500."""
    try:
        subset.check({"type": "object", "properties": {"a": {keyword: value}}}, control=re.compile("<end>"))
    except BadRequest as error:
        assert error.code == "unsupported_schema"


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**53 + 1, 1e300])
def test_a_number_too_large_to_be_exact_is_refused(number: float) -> None:
    with pytest.raises(BadRequest, match="2\\^53"):
        subset.check({"minimum": number})
    subset.check({"enum": [0.5, 2**53, -3.25]})
