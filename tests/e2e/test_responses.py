"""`/v1/responses` with the real model: the same request whole, streamed, parsed, called and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from tests.e2e.conftest import House
from tests.e2e.sdk import ANSWER, NAME, client

QUESTION = "What is the capital of France?"


class Capital(BaseModel):
    """Of few tokens, whatever the model makes of it."""

    city: Literal["Paris", "Rome"]


class GetWeather(BaseModel):
    """Tells the weather of a city."""

    city: Literal["Paris", "Rome"]


@pytest.fixture(scope="module")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with client(house) as opened:
        yield opened


def fields(**given: Any) -> dict[str, Any]:
    """A request that is answered the same each time, unless it says otherwise."""
    return {"model": "starter", "input": QUESTION, "temperature": 0, "max_output_tokens": 12} | given


def ask(sdk: openai.OpenAI, **given: Any) -> Response:
    found = sdk.responses.create(**fields(**given))
    assert isinstance(found, Response)
    return found


def test_whole_and_by_the_stream_helper(sdk: openai.OpenAI) -> None:
    whole = ask(sdk)
    assert (whole.output_text, whole.model, whole.status) == (ANSWER, NAME, "completed")
    with sdk.responses.stream(**fields()) as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert "".join(deltas) == final.output_text == ANSWER
    assert len(deltas) > 1
    assert final.usage is not None
    assert whole.usage is not None
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert sdk.responses.retrieve(final.id).output_text == ANSWER


def test_parse_gives_an_object(sdk: openai.OpenAI) -> None:
    found = sdk.responses.parse(**fields(text_format=Capital, max_output_tokens=40))
    assert isinstance(found.output_parsed, Capital)


def test_a_call_goes_round(sdk: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(GetWeather)["function"]
    tools = [{"type": "function", "name": tool["name"], "parameters": tool["parameters"], "strict": True}]
    asked = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = ask(
        sdk, input=asked, tools=tools, tool_choice="required", parallel_tool_calls=False, max_output_tokens=60
    )
    (call,) = first.output
    assert call.type == "function_call"
    GetWeather.model_validate_json(call.arguments)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    by_items = ask(sdk, input=[*asked, *first.output, output], tools=tools, tool_choice="none")
    by_id = ask(sdk, input=[output], previous_response_id=first.id, tools=tools, tool_choice="none")
    assert by_items.output_text
    assert by_id.output_text == by_items.output_text
    assert by_id.usage is not None
    assert by_items.usage is not None
    assert by_id.usage.input_tokens == by_items.usage.input_tokens


def test_a_conversation_goes_on(sdk: openai.OpenAI) -> None:
    first = ask(sdk)
    second = ask(sdk, input="And of Italy?", previous_response_id=first.id)
    said = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "And of Italy?"},
    ]
    assert second.output_text == ask(sdk, input=said, store=False).output_text
    sdk.responses.delete(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"


def test_a_limit_cuts(sdk: openai.OpenAI) -> None:
    found = ask(sdk, max_output_tokens=3, store=False)
    assert (found.status, found.output[0].status) == ("incomplete", "incomplete")  # type: ignore[union-attr]
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"


def test_logprobs_spell_the_answer(sdk: openai.OpenAI) -> None:
    found = ask(sdk, include=["message.output_text.logprobs"], top_logprobs=2, store=False)
    part: Any = found.output[0].content[0]  # type: ignore[union-attr,index]
    assert "".join(one.token for one in part.logprobs) == ANSWER
    assert {len(one.top_logprobs) for one in part.logprobs} == {2}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"max_output_tokens": 1_000_000}, "max_output_tokens"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"not": {}}}}}, "text.format"),
    ],
)
def test_what_the_worker_refuses_has_the_name_that_was_sent(
    sdk: openai.OpenAI, given: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, **given)
    assert caught.value.param == param
    assert "max_completion_tokens" not in caught.value.message
