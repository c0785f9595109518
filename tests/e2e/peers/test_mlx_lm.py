"""What mlx-lm's server tests (tests/test_server.py) ask of OpenAI's endpoints, asked of this server."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.sdk import PARIS, ask, chunks, said, usage

SETTINGS: dict[str, Any] = {
    "max_tokens": 4,
    "temperature": 0.7,
    "top_p": 0.85,
    "seed": 999,
    "extra_body": {"repetition_penalty": 1.2},
}
HELPER = "You are a helpful assistant."
CALL = {"type": "function", "id": "123", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}


def test_a_seeded_completion_is_the_same_again(sdk: openai.OpenAI) -> None:
    asked = {"model": "starter", "prompt": "Once upon a time", "stop": "stop sequence", **SETTINGS}
    first, second = (sdk.completions.create(**asked) for _ in range(2))
    assert first.id != second.id
    assert first.choices[0].text == second.choices[0].text != ""


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": HELPER}, {"role": "user", "content": "Hello!"}],
        [
            {"role": "system", "content": [{"type": "text", "text": HELPER}]},
            {"role": "user", "content": [{"type": "text", "text": "Hello!"}]},
        ],
        [
            {"role": "user", "content": "what is 2+3?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "5", "tool_call_id": "123"},
        ],
    ],
    ids=["text", "parts", "no content beside a call"],
)
def test_a_chat_is_answered(sdk: openai.OpenAI, messages: Any) -> None:
    answer = ask(sdk, messages=messages, **SETTINGS)
    assert answer.id
    assert said(answer)
    assert 0 < usage(answer)[1] <= 4


def test_models_have_what_the_list_promises(sdk: openai.OpenAI) -> None:
    page = sdk.models.list()
    assert page.object == "list"
    assert page.data
    for model in page.data:
        assert model.id
        assert model.object == "model"
        assert model.created > 0


def test_each_chunk_has_one_choice(sdk: openai.OpenAI) -> None:
    found = chunks(sdk, max_tokens=4)
    assert {len(chunk.choices) for chunk in found} == {1}


def test_what_begins_alike_is_computed_once(sdk: openai.OpenAI) -> None:
    system = {"role": "system", "content": "You tell stories. " * 20}
    first, second = (
        ask(sdk, messages=[system, {"role": "user", "content": text}], max_tokens=2)
        for text in ("Tell me a story about", "Tell me a story about dragons.")
    )
    assert said(first) and said(second)
    assert second.usage is not None and second.usage.prompt_tokens_details is not None
    assert 80 < (second.usage.prompt_tokens_details.cached_tokens or 0) < usage(second)[0]


def test_a_limit_of_one_token_is_one(sdk: openai.OpenAI) -> None:
    assert usage(ask(sdk, messages=PARIS, max_tokens=1))[1] == 1
