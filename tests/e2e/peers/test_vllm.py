"""What vLLM's tests (tests/entrypoints/openai) ask of chats, completions and batches, asked of this server."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.e2e import sdk as chats
from tests.e2e.conftest import House
from tests.e2e.sdk import PARIS, ask, chunks, fields, refused, said, usage
from tests.e2e.test_batches import begun, chat, lines_of, over, until

CITY = {"type": "object", "properties": {"city": {"enum": ["Berlin", "Vienna"]}}, "required": ["city"]}


def tool(name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    function = {"name": name, "description": "Tells it.", "parameters": parameters or CITY}
    return {"type": "function", "function": function}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


WEATHER = tool("get_current_weather")


def text(**given: Any) -> dict[str, Any]:
    return {
        "model": "starter",
        "prompt": "The capital of France is",
        "temperature": 0,
        "max_tokens": 3,
    } | given


class TestLogprobs:
    @pytest.mark.parametrize(("top", "beside"), [(0, 0), (5, 5)])
    def test_of_a_chat(self, sdk: openai.OpenAI, top: int, beside: int) -> None:
        logprobs = ask(sdk, max_tokens=2, logprobs=True, top_logprobs=top).choices[0].logprobs
        assert logprobs is not None
        assert [len(token.top_logprobs) for token in logprobs.content or []] == [beside] * 2

    def test_not_where_none_are_wanted(self, sdk: openai.OpenAI) -> None:
        assert ask(sdk, max_tokens=2, logprobs=False).choices[0].logprobs is None
        assert sdk.completions.create(**text(logprobs=None)).choices[0].logprobs is None

    @pytest.mark.parametrize("stream", [False, True])
    def test_too_many_are_refused_and_hurt_nobody(self, sdk: openai.OpenAI, stream: bool) -> None:
        assert refused(sdk, logprobs=True, top_logprobs=21, stream=stream).param == "top_logprobs"
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.completions.create(**text(logprobs=21), stream=stream)
        assert caught.value.param == "logprobs"
        assert said(ask(sdk, max_tokens=1))


class TestStreamOptions:
    """For both endpoints; `continuous_usage_stats` is vLLM's own."""

    @pytest.mark.parametrize("options", [None, {}, {"include_usage": False}], ids=str)
    def test_no_usage_where_none_is_wanted(self, sdk: openai.OpenAI, options: Any) -> None:
        found: list[Any] = [*chunks(sdk, max_tokens=2, stream_options=options)]
        found += sdk.completions.create(**text(), stream=True, stream_options=options)
        assert not any(chunk.usage for chunk in found)
        assert all(chunk.choices for chunk in found)

    def test_else_it_follows_the_last_choice(self, sdk: openai.OpenAI) -> None:
        options: Any = {"include_usage": True}
        for found in (
            chunks(sdk, max_tokens=2, stream_options=options),
            list(sdk.completions.create(**text(), stream=True, stream_options=options)),
        ):
            *others, ended, last = found
            assert [chunk.choices[0].finish_reason for chunk in others] == [None] * len(others)
            assert ended.choices[0].finish_reason == "length"
            assert not any(chunk.usage for chunk in [*others, ended])
            assert last.choices == []
            assert last.usage is not None
            assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens

    @pytest.mark.parametrize("options", [{"include_usage": None}, {"include_usage": True}], ids=str)
    def test_without_a_stream_they_are_refused(self, sdk: openai.OpenAI, options: Any) -> None:
        assert (refused(sdk, stream_options=options).param or "").startswith("stream_options")
        with pytest.raises(openai.BadRequestError):
            sdk.completions.create(**text(), stream_options=options)


class TestNumbers:
    @pytest.mark.parametrize(
        "given",
        [
            {"seed": 2**63},
            {"seed": -(2**63) - 1},
            {"max_tokens": 0},
            {"max_completion_tokens": 0},
            {"logit_bias": {"49153": 1}},
            {"logit_bias": {"-1": 1}},
            {"stop": ""},
        ],
        ids=str,
    )
    def test_what_is_out_of_range_is_refused(self, sdk: openai.OpenAI, given: dict[str, Any]) -> None:
        [name] = given
        assert refused(sdk, **given).param == name

    @pytest.mark.parametrize(
        "given",
        [{"seed": 2**63 - 1}, {"seed": -(2**63)}, {"seed": -1}, {"logit_bias": {"49151": 1}}, {"stop": []}],
        ids=str,
    )
    def test_what_is_just_within_is_not(self, sdk: openai.OpenAI, given: dict[str, Any]) -> None:
        assert said(ask(sdk, **{"temperature": 1, "max_tokens": 1} | given))

    def test_a_bias_names_the_id_and_the_vocabulary(self, sdk: openai.OpenAI) -> None:
        message = refused(sdk, logit_bias={"49153": 1}).message
        assert "49153" in message
        assert "49151" in message


class TestPrompts:
    @pytest.mark.parametrize("prompt", [None, [], "", [""], [[]], [-1], [[-1]], [999_999], [True]], ids=str)
    def test_what_is_none_is_refused(self, sdk: openai.OpenAI, prompt: Any) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.completions.create(**text(prompt=prompt))
        assert (caught.value.param or "").startswith("prompt")

    @pytest.mark.parametrize("prompt", ["Hello, my name is", [504, 3575, 282]], ids=["text", "tokens"])
    def test_a_list_of_the_same_has_the_same_choices(self, sdk: openai.OpenAI, prompt: Any) -> None:
        alone = sdk.completions.create(**text(prompt=prompt)).choices[0].text
        both = sdk.completions.create(**text(prompt=[prompt] * 2))
        assert [choice.text for choice in both.choices] == [alone] * 2
        pieces = ["", ""]
        for chunk in sdk.completions.create(**text(prompt=[prompt] * 2), stream=True):
            for choice in chunk.choices:
                pieces[choice.index] += choice.text
        assert pieces == [alone] * 2

    def test_choices_end_each_in_its_own_time(self, sdk: openai.OpenAI) -> None:
        asked = text(prompt="What is an LLM?", n=3, max_tokens=8, temperature=1, seed=42, logprobs=0)
        answer = sdk.completions.create(**asked)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        assert all(choice.finish_reason for choice in answer.choices)
        ends = [
            choice.index
            for chunk in sdk.completions.create(**asked, stream=True)
            for choice in chunk.choices
            if choice.finish_reason
        ]
        assert sorted(ends) == [0, 1, 2]


class TestTools:
    @pytest.mark.parametrize("choice", ["required", named("get_current_weather")], ids=["required", "named"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_a_call_that_has_to_be_made_is(self, sdk: openai.OpenAI, choice: Any, stream: bool) -> None:
        given = {"tools": [WEATHER], "tool_choice": choice, "parallel_tool_calls": False}
        if stream:
            found = [made for chunk in chunks(sdk, **given, max_tokens=40) for made in chunk.choices]
            parts = [part.function for made in found for part in made.delta.tool_calls or [] if part.function]
            arguments = "".join(part.arguments or "" for part in parts)
            finishes = [made.finish_reason for made in found if made.finish_reason]
            assert not any(made.delta.content for made in found)
        else:
            [made_whole] = ask(sdk, **given, max_tokens=40).choices
            [call] = made_whole.message.tool_calls or []
            arguments, finishes = call.function.arguments, [made_whole.finish_reason]  # type: ignore[union-attr]
        assert json.loads(arguments)["city"] in CITY["properties"]["city"]["enum"]  # type: ignore[index]
        assert finishes == ["tool_calls"]

    @pytest.mark.parametrize("choice", ["required", named("get_current_weather")], ids=["required", "named"])
    def test_a_call_that_was_cut_short_is_none(self, sdk: openai.OpenAI, choice: Any) -> None:
        [found] = ask(sdk, tools=[WEATHER], tool_choice=choice, max_tokens=1).choices
        assert (found.finish_reason, found.message.content) == ("length", "")
        assert found.message.tool_calls is None

    @pytest.mark.parametrize("arguments", ["{}", ""], ids=["object", "empty"])
    def test_a_call_without_arguments_is_remembered(self, sdk: openai.OpenAI, arguments: str) -> None:
        clock = tool("get_current_time", {"type": "object", "properties": {}, "required": []})
        call = {
            "id": "c",
            "type": "function",
            "function": {"name": "get_current_time", "arguments": arguments},
        }
        messages = [
            *PARIS,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "12:00"},
        ]
        assert said(ask(sdk, messages=messages, tools=[clock], tool_choice="none", max_tokens=2))

    def test_null_is_as_left_out(self, sdk: openai.OpenAI) -> None:
        given = {"tools": [WEATHER], "parallel_tool_calls": False, "max_tokens": 6}
        left_out, null = ask(sdk, **given), ask(sdk, **given, tool_choice=None)
        assert left_out.choices[0].finish_reason == null.choices[0].finish_reason
        assert said(ask(sdk, tools=None, tool_choice=None, max_tokens=1))

    @pytest.mark.parametrize(
        ("tools", "choice"),
        [
            (None, named("get_current_weather")),
            ([WEATHER], named("nondefined_function_name")),
            ([WEATHER], {}),
            ([WEATHER], "bogus"),
            (None, "auto"),
            (None, "required"),
        ],
        ids=str,
    )
    def test_a_choice_that_fits_no_tool_is_refused(self, sdk: openai.OpenAI, tools: Any, choice: Any) -> None:
        assert (refused(sdk, tools=tools, tool_choice=choice).param or "").startswith("tool_choice")

    def test_a_batch_may_call(self, sdk: openai.OpenAI) -> None:
        content = chat("a", tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=40)
        [one] = lines_of(sdk, until(sdk, begun(sdk, content), over).output_file_id)
        [call] = one["response"]["body"]["choices"][0]["message"]["tool_calls"]
        assert call["id"]
        assert (call["type"], call["function"]["name"]) == ("function", "get_current_weather")


class TestConversations:
    def test_a_dialogue_goes_on(self, sdk: openai.OpenAI) -> None:
        system = {"role": "system", "content": "you are a helpful assistant"}
        messages: list[Any] = [system, {"role": "user", "content": "what is 1+1?"}]
        first = ask(sdk, messages=messages, max_tokens=5)
        messages += [first.choices[0].message, {"role": "user", "content": "express your result in json"}]
        assert usage(ask(sdk, messages=messages, max_tokens=2))[0] > sum(usage(first))

    @pytest.mark.parametrize("role", ["system", "developer"])
    def test_instructions_may_come_late(self, sdk: openai.OpenAI, role: str) -> None:
        late = {"role": role, "content": "Answer in one word."}
        assert usage(ask(sdk, messages=[*PARIS, late], max_tokens=1))[0] > usage(ask(sdk, max_tokens=1))[0]

    @pytest.mark.parametrize(
        ("message", "param"),
        [
            # OpenAI takes neither: here it may be a typing error, there it is one.
            ({"role": "my-custom-role", "content": "what is 1+1?"}, "messages[0].role"),
            ({"role": "user", "content": "what is 1+1?", "extra_field": "0"}, "messages[0].extra_field"),
            ({"role": "assistant", "content": None}, "messages[0].content"),
        ],
        ids=["role", "field", "empty"],
    )
    def test_what_nobody_says_is_refused(self, sdk: openai.OpenAI, message: Any, param: str) -> None:
        assert refused(sdk, messages=[message]).param == param

    @pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
    def test_a_body_that_says_it_is_no_json_is_refused(self, house: House, kind: str) -> None:
        for path, asked in (("chat/completions", fields()), ("completions", text())):
            url = f"{house.bridge_url}/v1/{path}"
            found = httpx.post(url, content=json.dumps(asked), headers={"content-type": kind})
            assert (found.status_code, found.json()["error"]["type"]) == (415, "invalid_request_error")

    @pytest.mark.parametrize("body", ["this is not valid json{{{", '["not", "an", "object"]', "42", "null"])
    def test_a_body_that_is_no_object_is_refused(self, house: House, body: str) -> None:
        for path in ("chat/completions", "completions", "responses"):
            url = f"{house.bridge_url}/v1/{path}"
            found = httpx.post(url, content=body, headers={"content-type": "application/json"})
            assert (found.status_code, found.json()["error"]["type"]) == (400, "invalid_request_error")


def test_an_unknown_model_is_told(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        sdk.models.retrieve("this-model-does-not-exist")
    assert sdk.models.retrieve(chats.NAME).id == chats.NAME
