"""What llama.cpp's server tests (tools/server/tests/unit) ask of OpenAI's endpoints, asked of this server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.e2e.conftest import House
from tests.e2e.sdk import NAME, PARIS, ask, chunks, joined, refused, said, usage

SYSTEM = {"role": "system", "content": "Book"}
QUESTION = "What is the best book"
ENDLESS = {"2": -100, "0": -100}
TOOL = {
    "type": "function",
    "function": {
        "name": "calculate",
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
    },
}
CALL = {"id": "call_6789", "type": "function", "function": {"name": "calculate", "arguments": '{"x":"1+1"}'}}


def formed(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}


def test_it_is_alive(house: House) -> None:
    for path in ("/healthz", "/readyz", "/v1/models"):
        assert httpx.get(house.bridge_url + path).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        QUESTION,
        [{"type": "text", "text": QUESTION}],
        [{"type": "text", "text": "What is the"}, {"type": "text", "text": " best book"}],
    ],
    ids=["text", "part", "parts"],
)
def test_a_chat_counts_its_tokens(sdk: openai.OpenAI, content: Any) -> None:
    answer = ask(sdk, messages=[SYSTEM, {"role": "user", "content": content}], max_tokens=4, n=2)
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model) == ("chat.completion", NAME)
    assert usage(answer) == (20, 8)
    assert [choice.message.role for choice in answer.choices] == ["assistant"] * 2
    assert {choice.finish_reason for choice in answer.choices} == {"length"}


def test_a_chat_in_pieces(sdk: openai.OpenAI) -> None:
    *found, last = chunks(
        sdk, messages=[SYSTEM, *PARIS], max_tokens=4, stream_options={"include_usage": True}
    )
    assert {(chunk.id, chunk.model, chunk.object) for chunk in [*found, last]} == {
        (found[0].id, NAME, "chat.completion.chunk")
    }
    choices = [choice for chunk in found for choice in chunk.choices]
    assert [choice.delta.role for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert [choice.finish_reason for choice in choices] == [*[None] * (len(choices) - 1), "length"]
    assert not choices[0].delta.content
    assert choices[-1].delta.content is None
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 4


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (formed({"const": "42"}), '"42"'),
        (formed({"const": "foooooo"}), '"foooooo"'),
        ({"type": "json_object"}, "{"),
        ({"type": "text"}, ""),
    ],
    ids=str,
)
def test_an_answer_has_its_form(sdk: openai.OpenAI, wanted: Any, text: str) -> None:
    assert said(ask(sdk, response_format=wanted)).startswith(text)


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"type": "sound"}, "response_format.type"),
        ({}, "response_format.type"),
        # Where llama.cpp has a schema beside `json_object`, OpenAI has none.
        ({"type": "json_object", "schema": {"const": "42"}}, "response_format.schema"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        (formed(123), "response_format.json_schema.schema"),
        (formed({"type": 123}), "response_format"),
        (formed({"type": "hiccup"}), "response_format"),
        (formed({"type": "object", "properties": {"foo": "bar"}}), "response_format"),
    ],
    ids=str,
)
def test_a_form_that_cannot_be_is_refused(sdk: openai.OpenAI, wanted: Any, param: str) -> None:
    assert refused(sdk, response_format=wanted).param == param


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ("string", "messages"),
        ([], "messages"),
        ([123], "messages[0]"),
        ([{}], "messages[0].role"),
        ([{"role": 123}], "messages[0].role"),
        ([{"content": "hello"}], "messages[0].role"),
        ([{"role": "system", "content": 123}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([SYSTEM, {}], "messages[1].role"),
    ],
    ids=str,
)
def test_what_are_no_messages_is_refused(sdk: openai.OpenAI, messages: Any, param: str) -> None:
    assert refused(sdk, messages=messages).param == param


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_over_the_context_is_refused(sdk: openai.OpenAI, stream: bool) -> None:
    error = refused(sdk, messages=[SYSTEM, *PARIS] * 500, stream=stream)
    assert (error.param, error.code) == ("messages", "context_length_exceeded")
    assert "8192" in error.message


def test_a_stop_text_is_in_no_piece_of_a_completion(sdk: openai.OpenAI) -> None:
    found = [
        chunk.choices[0]
        for chunk in sdk.completions.create(
            model="starter",
            prompt="User: Hi\nAssistant: Hey! How could I help?\nUser: Tell me a joke.\nAssistant:",
            stop=["User:", "Assistant:"],
            temperature=0,
            max_tokens=40,
            stream=True,
        )
    ]
    assert [choice.finish_reason for choice in found] == [*[None] * (len(found) - 1), "stop"]
    assert "".join(choice.text for choice in found) == " Hi\n"


def test_each_seed_draws_its_own_and_the_same_again(sdk: openai.OpenAI) -> None:
    def text(seed: int) -> str:
        prompt = "I believe the meaning of life is"
        asked: dict[str, Any] = {
            "model": "starter",
            "prompt": prompt,
            "max_tokens": 4,
            "temperature": 1,
            "seed": seed,
        }
        return str(sdk.completions.create(**asked).choices[0].text)

    texts = [text(seed) for seed in range(4)]
    assert len(set(texts)) == 4
    assert text(3) == texts[3]


@pytest.mark.parametrize("fields", [{"logprobs": 3}, {"logprobs": 0, "stop": ["\n\n"]}], ids=str)
def test_a_streamed_completion_has_the_logprobs_of_a_whole_one(
    sdk: openai.OpenAI, fields: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"model": "starter", "prompt": "Emoji: 😀😁😂🤣😃 ok", "temperature": 0} | fields
    whole = sdk.completions.create(**asked, max_tokens=8).choices[0].logprobs
    assert whole is not None
    assert whole.token_logprobs is not None
    pieces = [
        chunk.choices[0].logprobs for chunk in sdk.completions.create(**asked, max_tokens=8, stream=True)
    ]
    found = [piece for piece in pieces if piece is not None]
    assert [token for piece in found for token in piece.tokens or []] == whole.tokens
    assert [offset for piece in found for offset in piece.text_offset or []] == whole.text_offset
    assert [one for piece in found for one in piece.token_logprobs or []] == pytest.approx(
        whole.token_logprobs, abs=1e-4
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_a_character_of_several_tokens_is_never_cut(sdk: openai.OpenAI, limit: int) -> None:
    asked: dict[str, Any] = {"model": "starter", "prompt": "Emoji: 😀😁😂🤣😃", "temperature": 0}
    whole = sdk.completions.create(**asked, max_tokens=limit).choices[0].text
    pieces = [
        chunk.choices[0].text for chunk in sdk.completions.create(**asked, max_tokens=limit, stream=True)
    ]
    assert "".join(pieces) == whole == "😔😕"[: limit // 3]


@pytest.mark.parametrize("tools", [None, [], [TOOL]], ids=["null", "empty", "none chosen"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_call_where_none_may_be(sdk: openai.OpenAI, tools: Any, stream: bool) -> None:
    fields = {"tools": tools, "tool_choice": "none" if tools else None}
    if stream:
        found = chunks(sdk, **fields)
        assert not any(choice.delta.tool_calls for chunk in found for choice in chunk.choices)
        assert joined(found)[0]
    else:
        answer = ask(sdk, **fields)
        assert answer.choices[0].message.tool_calls is None
        assert said(answer)


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_call_returned_is_answered(sdk: openai.OpenAI, stream: bool) -> None:
    returned = {"role": "tool", "name": "calculate", "content": "2", "tool_call_id": "call_6789"}
    messages = [*PARIS, {"role": "assistant", "content": None, "tool_calls": [CALL]}, returned]
    fields = {"messages": messages, "tools": [TOOL], "max_tokens": 4}
    assert joined(chunks(sdk, **fields))[0] if stream else said(ask(sdk, **fields))


def test_a_broken_call_that_nobody_answered_is_refused(sdk: openai.OpenAI) -> None:
    broken = CALL | {"function": {"name": "calculate", "arguments": "{"}}
    messages = [
        *PARIS,
        {"role": "assistant", "content": None, "tool_calls": [broken]},
        {"role": "user", "content": "Continue"},
    ]
    error = refused(sdk, messages=messages)
    assert (error.type, error.param) == ("invalid_request_error", "messages[1].tool_calls")


async def test_who_waits_no_longer_takes_no_place(house: House) -> None:
    """More than the worker has rows for, and each would take minutes."""
    given: dict[str, Any] = {"model": "starter", "messages": PARIS, "logit_bias": ENDLESS, "max_tokens": 6000}
    async with openai.AsyncOpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0) as sdk:
        asked = (sdk.chat.completions.create(**given, timeout=1) for _ in range(60))
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(end) for end in ends} <= {openai.APITimeoutError, openai.RateLimitError}
        assert any(isinstance(end, openai.APITimeoutError) for end in ends)
        answer = await sdk.chat.completions.create(**given | {"max_tokens": 2}, timeout=60)
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"type": "json_schema", "name": "test", "schema": {"const": "foooooo"}}, '"foooooo"'),
        ({"type": "json_object"}, "{"),
        ({"type": "text"}, ""),
    ],
    ids=str,
)
def test_a_response_has_its_form(sdk: openai.OpenAI, form: Any, text: str) -> None:
    found = sdk.responses.create(
        model="starter", input=QUESTION, max_output_tokens=10, temperature=0, text={"format": form}
    )
    assert found.output_text.startswith(text)
    if form["type"] == "json_schema":
        assert json.loads(found.output_text) == "foooooo"


def test_a_responses_form_without_its_schema_is_refused(sdk: openai.OpenAI) -> None:
    form: Any = {"type": "json_schema", "name": "test"}
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.create(model="starter", input=QUESTION, text={"format": form})
    assert caught.value.param == "text.format.schema"
