"""What vLLM's tests (tests/entrypoints/openai/responses) ask of `/v1/responses`, asked of this server."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.e2e.sdk import ANSWER
from tests.e2e.test_responses import QUESTION, ask, fields

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Berlin", "Vienna"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
# What ends, and what has begun it.
PAIRS = {
    "response.completed": "response.created",
    "response.output_item.done": "response.output_item.added",
    "response.content_part.done": "response.content_part.added",
    "response.output_text.done": "response.output_text.delta",
    "response.function_call_arguments.done": "response.function_call_arguments.delta",
}


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def said(text: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content, **fields}


def thought(**fields: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": None, **fields}


class TestInputs:
    def test_a_text_is_answered(self, sdk: openai.OpenAI) -> None:
        found = ask(sdk)
        assert (found.status, found.incomplete_details, found.output_text) == ("completed", None, ANSWER)
        assert found.id.startswith("resp_")
        assert found.output[0].id.startswith("msg_")  # type: ignore[union-attr]

    def test_so_it_is_without_a_model_and_in_parts(self, sdk: openai.OpenAI) -> None:
        assert ask(sdk, model=None, input=[user(QUESTION)], background=False).output_text == ANSWER

    def test_instructions_are_a_system_message(self, sdk: openai.OpenAI) -> None:
        system = {"role": "system", "content": "Finish the answer with QED."}
        told = ask(sdk, instructions=system["content"], max_output_tokens=4)
        items = ask(sdk, input=[system, {"role": "user", "content": QUESTION}], max_output_tokens=4)
        assert told.output_text == items.output_text
        assert told.usage is not None and items.usage is not None
        assert told.usage.input_tokens == items.usage.input_tokens

    @pytest.mark.parametrize(
        "items",
        [
            [said("Acknowledged.", id="msg_1", status="completed"), thought(id="rs_1", status="completed")],
            [said("Acknowledged."), thought()],
            [said("Acknowledged."), thought(content=[{"type": "reasoning_text", "text": "why"}])],
            [said("Acknowledged.", id="msg_1", status="completed", phase="final_answer")],
        ],
        ids=["as it was given", "without ids", "with its thoughts", "with its phase"],
    )
    def test_an_earlier_turn_comes_back(self, sdk: openai.OpenAI, items: list[Any]) -> None:
        found = ask(sdk, input=[user("Be brief."), *items, user(QUESTION)], max_output_tokens=2)
        assert found.output_text

    def test_a_thought_may_be_the_last_word(self, sdk: openai.OpenAI) -> None:
        why = thought(id="lol", content=[{"type": "reasoning_text", "text": "We need to respond: greeting."}])
        assert ask(sdk, input=[user("Hello."), why], max_output_tokens=2).output_text

    def test_a_citation_comes_back(self, sdk: openai.OpenAI) -> None:
        cited: dict[str, Any] = {"type": "url_citation", "url": "http://x", "title": "t"}
        part = {
            "type": "output_text",
            "text": "hi",
            "annotations": [cited | {"start_index": 0, "end_index": 1}],
        }
        message = {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [part],
        }
        assert ask(sdk, input=[user("Hi"), message, user(QUESTION)], max_output_tokens=2).output_text

    def test_a_call_without_its_id_is_refused(self, sdk: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            ask(sdk, input=[user("Hi"), {"type": "function_call", "name": "f", "arguments": "{}"}])
        assert caught.value.param == "input[1].call_id"


class TestTools:
    @pytest.mark.parametrize("tools", [[], None], ids=["empty", "null"])
    def test_none_are_none(self, sdk: openai.OpenAI, tools: Any) -> None:
        assert ask(sdk, tools=tools, tool_choice="auto", parallel_tool_calls=True).output_text == ANSWER

    def test_a_named_one_goes_round(self, sdk: openai.OpenAI) -> None:
        asked: list[Any] = [user("What's the weather like?")]
        first = ask(
            sdk,
            input=asked,
            tools=[TOOL],
            tool_choice={"type": "function", "name": "get_weather"},
            max_output_tokens=40,
        )
        [call] = first.output
        assert call.type == "function_call"
        assert json.loads(call.arguments)["city"] in ("Berlin", "Vienna")
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "20°C"}
        # Their second question has the tools no more.
        assert ask(sdk, input=[*asked, call, output], max_output_tokens=2).output_text

    def test_a_call_that_was_cut_short_is_none(self, sdk: openai.OpenAI) -> None:
        found = ask(sdk, tools=[TOOL], tool_choice="required", max_output_tokens=2)
        assert [item.type for item in found.output] == ["message"]
        assert found.incomplete_details is not None
        assert found.incomplete_details.reason == "max_output_tokens"

    @pytest.mark.parametrize(
        ("given", "param"),
        [
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
            ({"background": True}, "background"),
            ({"background": True, "store": False}, "background"),
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused(self, sdk: openai.OpenAI, given: Any, param: str) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            ask(sdk, **given)
        assert caught.value.param == param


class TestStreams:
    @pytest.mark.parametrize("call", [False, True], ids=["text", "call"])
    def test_events_are_nested_and_of_one_item(self, sdk: openai.OpenAI, call: bool) -> None:
        calling = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
        asked = fields(**calling, max_output_tokens=40) if call else fields(tools=[], background=False)
        events: list[Any] = list(sdk.responses.create(**asked, stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
        open_ones: list[str] = []
        item = None
        for event in events:
            if event.type == "response.output_item.added":
                item = event.item.id
            elif event.type == "response.output_item.done":
                assert event.item.id == item
            elif hasattr(event, "item_id"):
                assert (event.item_id, event.output_index) == (item, 0)
            if event.type in PAIRS:
                assert open_ones.pop() == PAIRS[event.type]
            elif event.type in PAIRS.values() and open_ones[-1:] != [event.type]:
                open_ones.append(event.type)
        assert open_ones == []
        final = events[-1].response
        pieces = "".join(event.delta for event in events if event.type.endswith(".delta"))
        assert pieces == (final.output[0].arguments if call else final.output_text)
        assert final.status == "completed"

    def test_each_piece_has_its_logprobs(self, sdk: openai.OpenAI) -> None:
        asked = fields(include=["message.output_text.logprobs"], top_logprobs=3, max_output_tokens=3)
        pieces = [
            event
            for event in sdk.responses.create(**asked, stream=True)
            if event.type == "response.output_text.delta"
        ]
        assert pieces
        for piece in pieces:
            assert piece.logprobs
            for one in piece.logprobs:
                assert one.logprob <= 0
                assert len(one.top_logprobs or []) == 3


class TestKept:
    def test_unless_one_says_otherwise(self, sdk: openai.OpenAI) -> None:
        assert sdk.responses.retrieve(ask(sdk, max_output_tokens=1).id).status == "incomplete"
        gone = ask(sdk, max_output_tokens=1, store=False)
        with pytest.raises(openai.NotFoundError, match=r"Response with id .* not found"):
            sdk.responses.retrieve(gone.id)

    def test_two_may_go_on_from_one(self, sdk: openai.OpenAI) -> None:
        first = ask(sdk, input="Hello, my name is John.", max_output_tokens=2)
        asked = {"input": "What is my name again?", "max_output_tokens": 4}
        alone = ask(sdk, **asked, previous_response_id=first.id)
        other = ask(sdk, input="My name is Mark.", previous_response_id=first.id, max_output_tokens=2)
        again = ask(sdk, **asked, previous_response_id=first.id)
        assert alone.output_text == again.output_text
        assert alone.usage is not None and again.usage is not None
        assert alone.usage.input_tokens == again.usage.input_tokens
        third = ask(sdk, **asked, previous_response_id=other.id)
        assert third.usage is not None
        assert third.usage.input_tokens > again.usage.input_tokens
