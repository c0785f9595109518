"""Answers under a schema: they validate, and a schema that cannot be kept to is refused before anything runs."""

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from schemas.chat import ChatRequest, JsonObjectFormat, JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.messages import UserMessage
from worker.engine.model import Model

TEXT = {"type": "string", "maxLength": 12}
SCHEMAS: dict[str, dict[str, Any]] = {
    "enum": {"enum": ["bullish", "bearish", "neutral"]},
    "const": {"const": {"비트코인": ["🚀", 1, None]}},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": 1, "maximum": 5},
    "number": {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.01},
    "text": {"type": "string", "minLength": 3, "maxLength": 20},
    "pattern": {"type": "string", "pattern": "^[A-Z]{3,5}$"},
    "array": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 4},
    "object": {
        "type": "object",
        "properties": {"name": TEXT, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    "choice": {
        "anyOf": [
            {"type": "null"},
            {
                "type": "object",
                "properties": {"a": TEXT},
                "required": ["a"],
                "additionalProperties": False,
            },
        ]
    },
    "references": {
        "$defs": {"coin": {"enum": ["BTC", "ETH"]}},
        "type": "object",
        "properties": {"main": {"$ref": "#/$defs/coin"}, "others": {"type": "array", "maxItems": 2}},
        "required": ["main"],
        "additionalProperties": False,
    },
    "nested": {
        "type": "object",
        "properties": {
            "a": {
                "type": "object",
                "properties": {"b": TEXT},
                "required": ["b"],
                "additionalProperties": False,
            }
        },
        "required": ["a"],
        "additionalProperties": False,
    },
}


def wanted(schema: dict[str, Any]) -> JsonSchemaFormat:
    return JsonSchemaFormat(JsonSchema(name="answer", schema=schema))


def refused(model: Model, schema: dict[str, Any]) -> BadRequest:
    request = ChatRequest(messages=[UserMessage(content="Hi")], response_format=wanted(schema))
    with pytest.raises(BadRequest) as caught:
        model.prepare(request)
    assert caught.value.param == "response_format"
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"type": "string", "pattern": "["},
        {"type": "string", "pattern": "(?=a)b"},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.org/schema.json"},
        {"type": "integer", "minimum": 5, "maximum": 1},
        {"enum": []},
        {"not": {"type": "string"}},
        {"properties": []},
        {"$ref": "#"},
    ],
    ids=json.dumps,
)
def test_a_schema_that_cannot_be_kept_to_is_refused(model: Model, schema: dict[str, Any]) -> None:
    error = refused(model, schema)
    assert error.code == "unsupported_schema"
    assert error.message.startswith("The JSON Schema cannot be enforced: ")


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_a_deeply_nested_schema_is_taken_or_refused(model: Model, depth: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    request = ChatRequest(messages=[UserMessage(content="Hi")], response_format=wanted(schema))
    try:
        model.prepare(request)
    except BadRequest as error:
        assert error.param == "response_format"


def test_a_grammar_is_compiled_once(model: Model) -> None:
    request = ChatRequest(messages=[UserMessage(content="Hi")], response_format=wanted(SCHEMAS["enum"]))
    model.prepare(request)
    before = model.grammars.compile.cache_info()
    model.prepare(request)
    after = model.grammars.compile.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


@pytest.mark.parametrize("temperature", [0, 1.5])
async def test_every_answer_validates(ask: Any, temperature: float) -> None:
    """All in one batch: each row keeps to its own grammar."""
    answers = await asyncio.gather(
        *(
            ask(
                "Answer with JSON.",
                response_format=wanted(schema),
                max_tokens=200,
                temperature=temperature,
                repetition_penalty=1.1,
            )
            for schema in SCHEMAS.values()
        )
    )
    for name, schema, answer in zip(SCHEMAS, SCHEMAS.values(), answers, strict=True):
        if name == "references" and answer.done.finish == "length":
            continue  # its array is of anything
        assert answer.done.finish == "stop", (name, answer.text)
        exact = json.loads(answer.text)
        if name == "number":
            assert 0 <= exact <= 1
            assert round(exact, 2) == exact
        else:
            jsonschema.validate(exact, schema, jsonschema.Draft202012Validator)


async def test_any_object(ask: Any) -> None:
    answer = await ask('Repeat: {"a": 1}', response_format=JsonObjectFormat(), max_tokens=100, temperature=0)
    if answer.done.finish == "stop":
        assert isinstance(json.loads(answer.text), dict)
    else:
        assert answer.text.startswith("{")


async def test_no_bias_revives_what_the_grammar_forbids(ask: Any, model: Model) -> None:
    [moon] = model.tokenizer.encode(" moon")
    answer = await ask(
        "Hi", response_format=wanted(SCHEMAS["boolean"]), logit_bias={str(moon): 100}, max_tokens=20
    )
    assert answer.text in ("true", "false")


async def test_keys_are_written_in_the_order_of_the_schema(ask: Any) -> None:
    bit = {"enum": [0, 1]}
    schema = {
        "type": "object",
        "properties": {"z": bit, "a": bit, "m": bit},
        "required": ["a", "m", "z"],
        "additionalProperties": False,
    }
    answer = await ask("Hi", response_format=wanted(schema), max_tokens=40)
    assert list(json.loads(answer.text)) == ["z", "a", "m"]
