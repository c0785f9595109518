"""Whatever schema is asked for and whatever the prompt says: a finished answer validates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from schemas.chat import JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.messages import UserMessage
from tests.fidelity import answering
from tests.fidelity.asking import engine_of
from tests.fidelity.random_schemas import examples
from tests.fidelity.shapes import OUTSIDE, SHAPES


@pytest.mark.timeout(3600)
async def test_every_finished_answer_validates(
    folder: Path, pairs: int, record_property: Callable[[str, object], None]
) -> None:
    tried = answering.pairs(pairs)
    assert len(tried) == pairs
    async with engine_of(folder, 32) as ask:
        verdict = await answering.judge(ask, tried)
    record_property("fidelity", str(verdict))
    assert not verdict.faults, verdict
    # Else the measurement would be of little.
    assert not [name for name in verdict.refused if not name.startswith("random/")], verdict
    assert len(verdict.refused) <= 0.02 * pairs, verdict
    assert len(verdict.valid) >= 0.8 * pairs, verdict


async def test_a_schema_that_cannot_be_enforced_is_refused(folder: Path) -> None:
    async with engine_of(folder, 1) as ask:
        for name, schema in OUTSIDE.items():
            wanted = JsonSchemaFormat(JsonSchema(name="answer", schema=schema))
            with pytest.raises(BadRequest) as refused:
                await ask.prepare([UserMessage(content=name)], response_format=wanted)
            assert refused.value.code == "unsupported_schema", name


def test_the_set_is_what_it_says() -> None:
    assert len(SHAPES) >= 200
    assert len({json.dumps(schema) for schema in SHAPES.values()}) == len(SHAPES)
    for schema in SHAPES.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for schema, value in examples(100):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert answering.fault(schema, json.dumps(value)) is None, (schema, value)


def test_a_fault_is_seen() -> None:
    cent = {"type": "number", "multipleOf": 0.01}
    assert answering.fault(cent, "0.57") is None
    assert answering.fault(cent, "0.575") is not None
    assert answering.fault(cent, "0.5") is None
    assert answering.fault(cent, "NaN") is not None
    assert answering.fault({"type": "object"}, '{"a": 1') is not None
    assert answering.fault({"enum": ["a"]}, '"b"') is not None
