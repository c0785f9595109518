"""Schemas that nobody would think of, each with a value that satisfies it; the same ones in every run.

Values of single fields come from hypothesis-jsonschema; arrays and objects are put together here, because its last
release (0.23.1) fails on every object with the hypothesis of today (`many.more` is gone).
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from tests.fidelity.building import Schema, array, either, maybe, record, table

# Of every script, and white space; but not what the starter's vocabulary cannot write for want of single bytes:
# some control characters, and the planes that hold no characters. Schemas with those are refused.
_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0x3FFFF) | st.sampled_from("\n\t")
_KEYS = st.text(_CHARACTERS, max_size=5) | st.sampled_from(
    "id name value 가격 a.b $ref_ x-y type properties".split()
)
_SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(_CHARACTERS, max_size=8)
_PATTERNS = ["^[A-Z]{2,4}$", "^[0-9]{3}$", "^(ab|cd)+$", "^x?y{1,3}$", "^[^a]{2}$", "^[a-z]+@[a-z]+$"]
_FORMATS = "date time date-time uuid ipv4 ipv6 email hostname".split()
# Steps that binary fractions hold exactly: hypothesis-jsonschema makes floats.
_STEPS = [0.125, 0.25, 0.5, 1, 2.5]


@st.composite
def _integers(draw: st.DrawFn) -> Schema:
    low = draw(st.integers(-(10**4), 10**4))
    high = low + draw(st.integers(0, 10**4))
    wanted: Schema = {"type": "integer", "minimum": low, "maximum": high}
    return (
        wanted if draw(st.booleans()) else {"type": "integer", "exclusiveMinimum": low - 1, "maximum": high}
    )


@st.composite
def _numbers(draw: st.DrawFn) -> Schema:
    low, step = draw(st.integers(-100, 100)), draw(st.sampled_from(_STEPS))
    return {"type": "number", "minimum": low, "maximum": low + 10, "multipleOf": step}


@st.composite
def _texts(draw: st.DrawFn) -> Schema:
    least = draw(st.integers(0, 4))
    return {"type": "string", "minLength": least, "maxLength": least + draw(st.integers(0, 10))}


_LEAVES: st.SearchStrategy[Schema] = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    _integers(),
    _numbers(),
    _texts(),
    st.sampled_from(_PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(_FORMATS).map(lambda name: {"type": "string", "format": name}),
    st.lists(_SCALARS, min_size=1, max_size=5, unique_by=json.dumps).map(lambda values: {"enum": values}),
    _SCALARS.map(lambda value: {"const": value}),
)


@st.composite
def _records(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    fields = draw(st.dictionaries(_KEYS, inner, max_size=4))
    required = [name for name in fields if draw(st.integers(0, 3))]
    return {**record(), "properties": fields, "required": required}


def _nested(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        _records(inner),
        st.builds(array, inner, st.integers(1, 3), st.integers(0, 1)),
        st.builds(table, inner, st.sampled_from(["^[a-z]{1,4}$", "^k_[0-9]{1,2}$"]), st.integers(1, 2)),
        st.builds(either, inner, inner),
        st.builds(maybe, inner),
    )


SCHEMAS = st.recursive(_LEAVES, _nested, max_leaves=6)


@st.composite
def _values(draw: st.DrawFn, schema: Schema) -> Any:
    match schema:
        case {"anyOf": choices}:
            return draw(_values(draw(st.sampled_from(choices))))
        case {"type": "array", "items": items, "minItems": least, "maxItems": most}:
            return draw(st.lists(_values(items), min_size=least, max_size=most))
        case {"type": "object", "patternProperties": kinds, "maxProperties": most}:
            [(keys, values)] = kinds.items()
            return draw(st.dictionaries(_leaf({"pattern": keys}), _values(values), max_size=most))
        case {"type": "object", "properties": fields, "required": required}:
            wanted = [name for name in fields if name in required or draw(st.booleans())]
            return {name: draw(_values(fields[name])) for name in wanted}
        case _:
            return draw(_leaf(schema))


def _leaf(schema: Schema) -> st.SearchStrategy[Any]:
    wanted: Schema = {"type": "string"} | schema if "pattern" in schema else schema
    return from_schema(wanted)


@st.composite
def _satisfied(draw: st.DrawFn) -> tuple[Schema, Any]:
    schema = draw(SCHEMAS)
    return schema, draw(_values(schema))


def examples(count: int) -> list[tuple[Schema, Any]]:
    """So many different schemas, each with a value for it."""
    found: dict[str, tuple[Schema, Any]] = {}

    @seed(20261122)
    @settings(
        max_examples=2 * count + 50,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_satisfied())
    def collect(pair: tuple[Schema, Any]) -> None:
        found.setdefault(json.dumps(pair[0]), pair)

    collect()
    return list(found.values())[:count]
