"""A response's request, its items, and what a chat makes of them: each field, and each refusal by its name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from bridge.responses import asked
from schemas import chat
from schemas.codec import encode
from schemas.errors import BadRequest
from schemas.responses.request import REFUSED, ResponseRequest, decode_request

USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "4"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
USAGE = {"include_usage": True, "include_obfuscation": None}
SAID = {"role": "assistant", "content": "yes"}


def request(**fields: Any) -> ResponseRequest:
    return decode_request(encode({"input": "hi"} | fields))


def told(**fields: Any) -> dict[str, Any]:
    """The chat's request, as the worker reads it, without what is left open."""
    found = request(**fields)
    sent = encode(asked.chat(found, found.items))
    chat.decode_request(sent)
    body: dict[str, Any] = msgspec.json.decode(sent)
    return {name: value for name, value in body.items() if value is not None}


def messages(*items: dict[str, Any]) -> list[dict[str, Any]]:
    found = told(input=list(items))["messages"]
    return [{name: value for name, value in one.items() if value is not None} for one in found]


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        told(**fields)
    return caught.value


def test_every_field_of_openai_is_either_taken_or_refused_with_a_sentence() -> None:
    mine = set(ResponseRequest.__struct_fields__)
    assert set(ResponseCreateParamsBase.__annotations__) | {"stream"} == mine | {
        name for name in REFUSED if "." not in name
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "m"}, {"model": "m"}),
        ({"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
        ({"max_output_tokens": 7}, {"max_completion_tokens": 7}),
        ({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"stream": True}, {"stream": True, "stream_options": USAGE}),
        ({"tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ({"user": "u", "metadata": {"a": "b"}, "store": False, "truncation": "disabled", "background": False}, {}),
    ],
)  # fmt: skip
def test_what_a_chat_is_told(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = told(**given)
    del found["messages"]
    assert found == expected


def test_a_schema_and_tools_have_one_level_less() -> None:
    schema = {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}
    assert told(text={"format": schema})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}, "description": None, "strict": True},
    }
    found = told(tools=[TOOL], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False)
    function = {"name": "f", "description": None, "parameters": {"type": "object"}, "strict": True}
    assert found["tools"] == [{"type": "function", "function": function}]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert found["parallel_tool_calls"] is False


def test_instructions_come_first() -> None:
    found = told(instructions="Be brief.", input=[USER])["messages"]
    assert [one["role"] for one in found] == ["system", "user"]


def test_one_turn_is_one_message() -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }
    second = CALL | {"call_id": "c2"}
    call = {"type": "function", "id": "c1", "function": {"name": "f", "arguments": "{}"}}
    assert messages(USER, thought, SAID, CALL, second, OUTPUT, OUTPUT | {"call_id": "c2"}, SAID, USER) == [
        USER,
        {
            "role": "assistant",
            "content": "yes",
            "reasoning_content": "hm",
            "tool_calls": [call, call | {"id": "c2"}],
        },
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {"role": "tool", "content": "4", "tool_call_id": "c2"},
        SAID,
        USER,
    ]


def test_turns_stay_apart() -> None:
    again = CALL | {"call_id": "c2"}
    found = messages(USER, SAID, SAID, CALL, OUTPUT, again, OUTPUT | {"call_id": "c2"})
    assert [one["role"] for one in found] == [
        "user", "assistant", "assistant", "tool", "assistant", "tool",
    ]  # fmt: skip
    assert ["tool_calls" in one for one in found] == [False, False, True, False, True, False]


def test_parts_are_text() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    answer = {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "content": [{"type": "output_text", "text": "c", "annotations": [], "logprobs": []}],
    }
    assert messages({"role": "developer", "content": parts}, answer, USER) == [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "assistant", "content": "c"},
        USER,
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [USER, CALL]}, "input"),
        ({"input": [USER, CALL, USER, OUTPUT]}, "input"),
        ({"input": [USER, OUTPUT]}, "input"),
        ({"input": [USER, CALL, CALL, OUTPUT]}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
        ({"input": [USER, {"type": "item_reference", "id": "msg_1"}]}, "input[1].type"),
        ({"input": ["hi"]}, "input[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"include": ["reasoning.encrypted_content"]}, "include[0]"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"seed": 1}, "seed"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str) -> None:
    found = refusal(**fields)
    assert found.param == param
    assert found.code


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name: str) -> None:
    outer, _, inner = name.partition(".")
    found = refusal(**{outer: {inner: "x"} if inner else "x"})
    assert (found.param, found.code) == (name, "unsupported_parameter")
