"""Answers of a wanted form, and calls of functions: by the SDK and its helpers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.e2e.conftest import House
from tests.e2e.sdk import (
    WEATHER,
    ask,
    chunks,
    client,
    fields,
    refused,
    said,
    usage,
)


class Capital(BaseModel):
    """Of few tokens, whatever the model makes of it."""

    city: Literal["Paris", "Rome"]
    sure: bool


class GetWeather(BaseModel):
    """Tells the weather of a city."""

    city: Literal["Paris", "Rome"]


class GetTime(BaseModel):
    """Tells the time of a city."""

    zone: Literal["UTC", "CET"]


TOOLS = [openai.pydantic_function_tool(GetWeather), openai.pydantic_function_tool(GetTime)]
ONE_CALL = {"messages": WEATHER, "tools": TOOLS, "parallel_tool_calls": False, "max_tokens": 60}
REQUIRED = ONE_CALL | {"tool_choice": "required"}


@pytest.fixture(scope="module")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with client(house) as opened:
        yield opened


def test_a_json_object_is_one(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, response_format={"type": "json_object"}, max_tokens=40)
    assert said(answer).startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(said(answer)), dict)
    else:
        assert answer.choices[0].finish_reason == "length"


def test_a_schema_is_kept(sdk: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["PAR-1", "ROM-2"]}, "sure": {"type": "boolean"}},
        "required": ["city", "sure"],
        "additionalProperties": False,
    }
    wanted = {"name": "capital", "strict": True, "schema": schema}
    answer = ask(sdk, response_format={"type": "json_schema", "json_schema": wanted}, max_tokens=40)
    found = json.loads(said(answer))
    assert set(found) == {"city", "sure"}
    assert found["city"] in ("PAR-1", "ROM-2")
    assert isinstance(found["sure"], bool)
    assert answer.choices[0].finish_reason == "stop"


def test_parse_gives_an_object(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.parse(**fields(max_tokens=40), response_format=Capital)
    assert isinstance(answer.choices[0].message.parsed, Capital)


def test_a_schema_cut_short_is_told(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError) as caught:
        sdk.chat.completions.parse(**fields(max_tokens=2), response_format=Capital)
    assert usage(caught.value.completion)[1] == 2


def test_an_unsupported_schema_is_refused(sdk: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    wanted = {"name": "a", "schema": schema}
    error = refused(sdk, response_format={"type": "json_schema", "json_schema": wanted})
    assert error.param is not None and error.param.startswith("response_format")
    assert "not" in error.message


def calls(completion: ChatCompletion) -> list[tuple[str, Any]]:
    """Names and arguments."""
    return [
        (call.function.name, json.loads(call.function.arguments))
        for call in completion.choices[0].message.tool_calls or []
        if call.type == "function"
    ]


def check_arguments(name: str, arguments: Any) -> None:
    kinds: dict[str, type[BaseModel]] = {"GetWeather": GetWeather, "GetTime": GetTime}
    kinds[name].model_validate(arguments)


def test_a_required_call_is_made(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, **REQUIRED)
    [(name, arguments)] = calls(answer)
    check_arguments(name, arguments)
    [choice] = answer.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].id


@pytest.mark.parametrize("name", ["GetWeather", "GetTime"])
def test_a_named_function_is_called(sdk: openai.OpenAI, name: str) -> None:
    answer = ask(sdk, **ONE_CALL, tool_choice={"type": "function", "function": {"name": name}})
    [(called, arguments)] = calls(answer)
    assert called == name
    check_arguments(called, arguments)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_no_call_is_made_when_none_is_wanted(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, **ONE_CALL | {"tool_choice": "none", "max_tokens": 12})
    assert said(answer)
    assert calls(answer) == []
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert usage(answer)[0] == usage(ask(sdk, messages=WEATHER))[0]


def test_a_model_may_choose(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, **ONE_CALL, tool_choice="auto")
    for name, arguments in calls(answer):
        check_arguments(name, arguments)
    if answer.choices[0].finish_reason != "length":
        assert (answer.choices[0].finish_reason == "tool_calls") == bool(calls(answer))
    # It is told of the tools, whether it uses them or not.
    assert usage(answer)[0] > usage(ask(sdk, messages=WEATHER))[0]


def test_one_call_at_most(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, **REQUIRED | {"n": 3, "temperature": 1, "seed": 3})
    assert [len(choice.message.tool_calls or []) for choice in answer.choices] == [1, 1, 1]


def test_parse_gives_arguments_as_objects(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.parse(**fields(**REQUIRED))
    [call] = answer.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, GetWeather | GetTime)


def test_a_call_is_answered(sdk: openai.OpenAI) -> None:
    asked = ask(sdk, **REQUIRED).choices[0].message
    assert asked.tool_calls is not None
    call_id = asked.tool_calls[0].id

    def told(result: str) -> ChatCompletion:
        answered = [*WEATHER, asked, {"role": "tool", "tool_call_id": call_id, "content": result}]
        return ask(sdk, messages=answered, tools=TOOLS, tool_choice="none")

    short, long = told("Rain."), told("Rain in the morning, and sun in the afternoon, at 21 degrees.")
    assert said(short) and said(long)
    assert usage(long)[0] > usage(short)[0]


def test_a_call_is_streamed(sdk: openai.OpenAI) -> None:
    found = [choice for chunk in chunks(sdk, **REQUIRED) for choice in chunk.choices]
    first, *more = [call for choice in found for call in choice.delta.tool_calls or []]
    assert first.function is not None
    assert (first.index, first.type, first.function.arguments) == (0, "function", "")
    assert first.id
    text = ""
    for call in more:
        assert call.function is not None
        assert (call.index, call.id, call.type, call.function.name) == (0, None, None, None)
        text += call.function.arguments or ""
    assert first.function.name is not None
    check_arguments(first.function.name, json.loads(text))
    assert found[-1].finish_reason == "tool_calls"
    assert not any(choice.delta.content for choice in found)


def test_an_answer_without_its_call_is_refused(sdk: openai.OpenAI) -> None:
    stray = {"role": "tool", "tool_call_id": "call_x", "content": "Rain."}
    assert refused(sdk, messages=[*WEATHER, stray]).param == "messages[1].tool_call_id"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "no blanks"}}]}, "tools[0].function.name"),
    ],
)
def test_tools_are_checked(sdk: openai.OpenAI, given: dict[str, Any], param: str) -> None:
    assert refused(sdk, **given).param == param


def test_the_stream_helper_tells_of_content(sdk: openai.OpenAI) -> None:
    asked = fields(max_tokens=40)
    with sdk.chat.completions.stream(**asked, response_format=Capital) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    text = "".join(event.delta for event in events if event.type == "content.delta")
    [done] = [event for event in events if event.type == "content.done"]
    assert done.content == text == final.choices[0].message.content
    assert isinstance(final.choices[0].message.parsed, Capital)


def test_the_stream_helper_tells_of_calls(sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.stream(**fields(**REQUIRED)) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    deltas = [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert "".join(event.arguments_delta for event in deltas) == done.arguments
    check_arguments(done.name, json.loads(done.arguments))
    [call] = final.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, GetWeather | GetTime)
    assert final.choices[0].finish_reason == "tool_calls"
