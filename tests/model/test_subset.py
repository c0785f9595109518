"""Schemas that would crash the compiler, or that it reads otherwise than JSON Schema does, are refused by name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from schemas.chat import ChatRequest, JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.messages import UserMessage
from schemas.tools import FunctionDefinition, Tool
from worker.engine.model import Model

HELLO = [UserMessage(content="Hi")]
LINKS: dict[str, Any] = {
    "anyOf": lambda ref: {"anyOf": [ref]},
    "allOf": lambda ref: {"allOf": [ref]},
    "items": lambda ref: {"type": "array", "items": ref},
    "property": lambda ref: {"type": "object", "properties": {"p": ref}, "required": ["p"]},
    "plain": lambda ref: ref,
}


def chain(length: int, link: Any) -> dict[str, Any]:
    definitions = {f"a{at}": link({"$ref": f"#/$defs/a{at + 1}"}) for at in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": definitions | {f"a{length}": {"type": "string"}}}


def prepared(model: Model, schema: dict[str, Any]) -> Any:
    wanted = JsonSchemaFormat(JsonSchema(name="a", schema=schema))
    return model.prepare(ChatRequest(messages=HELLO, response_format=wanted))


def refusal(model: Model, schema: dict[str, Any]) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        prepared(model, schema)
    assert (caught.value.code, caught.value.param) == ("unsupported_schema", "response_format")
    assert len(caught.value.message) < 400
    return caught.value


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("length", [1000, 5000])
def test_a_long_chain_of_references_is_refused(model: Model, link: Any, length: int) -> None:
    """It would overflow the compiler's stack, and with it end the process."""
    assert "too deeply" in (told := refusal(model, chain(length, link)).message) or "longer than" in told


def spelled(way: str, length: int) -> dict[str, Any]:
    """The chain with each reference, or each name, written in another way that the compiler follows."""
    whole = chain(length, LINKS["anyOf"])
    names: dict[str, dict[str, Any]] = whole["$defs"]
    match way:
        case "percent":
            return json.loads(json.dumps(whole).replace("#/$defs", "#/%24defs"))
        case "index":
            lists = {name: {"anyOf": [one]} for name, one in names.items()}
            text = json.dumps(whole | {"$defs": lists})
            return json.loads(re.sub(r'"(#/\$defs/a\d+)"', r'"\1/anyOf/0"', text))
        case "anchor":
            named = {name: one | {"$anchor": name} for name, one in names.items()}
            return json.loads(json.dumps(whole | {"$defs": named}).replace("#/$defs/", "#"))
        case "id":
            return {"$id": "https://a.b/s", **json.loads(json.dumps(whole).replace("#/$defs", "s#/$defs"))}
        case "inner":
            inner = {**whole, "$id": "https://a.b/t"}
            return {"anyOf": [inner], "$defs": {name: {"type": "null"} for name in names}}
    inside = {"definitions": {"$ref": whole["$ref"]}} if way == "property" else {}
    return {"type": "object", "properties": inside, "$defs": names}


@pytest.mark.parametrize("way", ["percent", "index", "anchor", "id", "inner", "property"])
def test_however_it_is_written(model: Model, way: str) -> None:
    """A longer one of each costs a worker its life."""
    assert re.search(r"too deeply|`\$ref`|`\$id`", refusal(model, spelled(way, 500)).message)


@pytest.mark.parametrize("way", ["percent", "index", "property"])
def test_a_short_one_may_be_written_so_too(model: Model, way: str) -> None:
    assert prepared(model, spelled(way, 20)).grammar


def test_a_number_beyond_all_lists_is_no_index(model: Model) -> None:
    assert "$ref" in refusal(model, {"anyOf": [{"$ref": "#/anyOf/" + "9" * 5000}]}).message


def test_what_only_looks_like_a_reference_is_none(model: Model) -> None:
    schema = {
        "type": "object",
        "properties": {"$ref": {"type": "string"}, "$id": {"type": "null"}, "const": {"$ref": "#/$defs/a"}},
        "default": {"$ref": "nowhere"},
        "$id": "https://a.b/s",
        "$defs": {"a": {"type": "integer"}},
    }
    assert prepared(model, schema).grammar


@pytest.mark.parametrize("name", ["definitions", "$defs", "const", "enum", "default", "examples"])
def test_a_property_of_any_name_is_looked_into(model: Model, name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "integer", "multipleOf": 9999991}}}
    assert "multipleOf" in refusal(model, schema).message


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_short_one_is_not(model: Model, link: Any) -> None:
    assert prepared(model, chain(100, link)).grammar


def test_a_schema_may_refer_to_itself(model: Model) -> None:
    tree = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}}}
    assert prepared(model, {"$ref": "#/$defs/t", "$defs": {"t": tree}}).grammar


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"const": 2**53 + 1}, "const"),
        ({"enum": ["a", {"b": [1795383095123456789]}]}, "enum"),
        ({"type": "integer", "minimum": 2**53 + 1}, "minimum"),
        ({"type": "object", "minProperties": 2, "required": ["a"]}, "minProperties"),
        ({"type": "string", "pattern": "^[[:alpha:]]{3}$"}, "pattern"),
        ({"type": "string", "pattern": r"\Aabc\z"}, "pattern"),
        ({"type": "string", "pattern": "(?x) a b"}, "pattern"),
        ({"properties": {"a": {"anyOf": [{"const": -(2**60)}]}}}, "const"),
        ({"const": "a<|im_end|>b"}, "<|im_end|>"),
        ({"type": "object", "properties": {"<|im_end|>": {}}}, "<|im_end|>"),
        ({"required": ["<|im_end|>"]}, "<|im_end|>"),
        ({"enum": ["x" * 70_000]}, "64 KB"),
        ({"type": "integer", "multipleOf": 9999991}, "multipleOf"),
        ({"type": "number", "multipleOf": 99.99991}, "multipleOf"),
        ({"allOf": [{"multipleOf": 997}, {"multipleOf": 991}]}, "multipleOf"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"multipleOf": 2**31 - 1}}}, "multipleOf"),
        ({"type": "integer", "multipleOf": 2**24}, "multipleOf"),
        ({"type": "integer", "multipleOf": 5**9}, "multipleOf"),
        ({"type": "integer", "multipleOf": 997, "anyOf": [{"multipleOf": 991}]}, "multipleOf"),
        ({"allOf": [{"multipleOf": 1000 + at} for at in range(400)]}, "multipleOf"),
        ({"not": {}, "x-guidance": {"lenient": True}}, "not"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_what_would_be_read_otherwise_is_refused(model: Model, schema: dict[str, Any], keyword: str) -> None:
    assert keyword in refusal(model, schema).message


def test_a_tools_parameters_are_held_to_the_same(model: Model) -> None:
    tools = [
        Tool(FunctionDefinition("f")),
        Tool(FunctionDefinition("g", parameters=chain(3000, LINKS["anyOf"]))),
    ]
    with pytest.raises(BadRequest) as caught:
        model.prepare(ChatRequest(messages=HELLO, tools=tools))
    assert caught.value.param == "tools[1].function.parameters"


def test_control_tokens_may_be_spoken_of(model: Model) -> None:
    assert prepared(
        model, {"type": "string", "description": "It may hold <|im_end|>.", "maxLength": 5}
    ).grammar


def test_wide_objects_are_no_problem(model: Model) -> None:
    properties = {f"key_{at}": {"type": "integer"} for at in range(600)}
    assert prepared(
        model, {"type": "object", "properties": properties, "additionalProperties": False}
    ).grammar


@pytest.mark.parametrize("step", [1, 3, 60, 365, 0.01, 0.25, 1000, 86_400, 10_000_000, 1e-7, 97])
def test_steps_that_people_use_are_no_problem(model: Model, step: float) -> None:
    assert prepared(model, {"type": "number", "minimum": 0, "multipleOf": step}).grammar


def test_steps_of_fields_of_their_own_are_no_problem(model: Model) -> None:
    steps = [997, 991, 983, 15, 7, 365, 4096]
    properties = {f"p{step}": {"type": "integer", "multipleOf": step} for step in steps}
    assert prepared(model, {"type": "object", "properties": properties}).grammar


async def test_an_answer_that_ends_before_its_grammar_does_has_failed(ask: Any) -> None:
    """Where its machine gives up, a grammar allows only the end: half an answer must not pass for a whole one."""
    wanted = JsonSchemaFormat(
        JsonSchema(name="a", schema={"type": "string", "pattern": "(.{0,1000}x){0,1000}"})
    )
    answer = await ask("Write an example.", response_format=wanted, temperature=0, max_tokens=60)
    assert answer.error.code == "unsupported_schema"


async def test_a_top_k_beyond_all_integers_hurts_nobody(ask: Any) -> None:
    answer = await ask("Hi", temperature=1.0, top_k=2**64, max_tokens=3)
    assert answer.done
