"""Every field of a chat request, seen to have its effect by the official SDK over HTTP, here and in test_openai_*.py.

CHECKS is the list of what is tried, mirrored by tests/e2e/npm with the SDK for JavaScript.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.conftest import House
from tests.e2e.sdk import (
    ANSWER,
    NAME,
    PARIS,
    REPEAT,
    ask,
    chunks,
    client,
    fields,
    joined,
    refused,
    said,
    usage,
)

CHECKS = {
    # the conversation
    "text_parts_say_what_text_says": "content of two text parts: the prompt_tokens and the answer of one text",
    "a_developer_is_a_system": "role developer: the prompt_tokens and the answer of role system; more than without",
    "an_earlier_answer_and_a_name_are_taken": "assistant message of the SDK sent back: more prompt_tokens; name: more",
    "images_are_refused": "content part image_url: BadRequestError, param messages[0].content[1].type",
    # the model
    "a_model_has_a_name_and_an_alias": "model starter and smollm2-135m-instruct: answer.model is the latter",
    "an_unknown_model_is_not_found": "NotFoundError, code model_not_found, param model",
    "models_are_listed_and_found": "models.list() has smollm2-135m-instruct; models.retrieve(starter).id too",
    # the length
    "a_limit_cuts": "max_tokens 3, max_completion_tokens 3 (beside max_tokens 5): 3 tokens, finish_reason length",
    "a_limit_that_never_fits_is_refused": "max_tokens 1000000: BadRequestError, code context_length_exceeded",
    "a_stop_ends_the_text": 'stop " Paris", stop ["rance is Pa", "x"] across tokens: cut there, finish_reason stop',
    "a_stop_is_never_shown_in_a_stream": 'stop "rance is Pa" streamed: the pieces join to the same text',
    # sampling
    "a_seed_repeats": "temperature 1.5, seed 7 twice the same text; seeds 7, 8, 9 not all the same",
    "a_hot_answer_differs_from_a_cold_one": "temperature 2, seed 7: another text than at temperature 0",
    "narrow_sampling_is_greedy": "temperature 2 with top_p 1e-6, top_k 1, or min_p 1: the text of temperature 0",
    "penalties_keep_from_repeating": "frequency_penalty 2, repetition_penalty 1.5: fewer 'no'; presence_penalty 2: "
    "another text",
    "a_bias_forbids_a_token": "logit_bias {7042: -100} (' Paris'): the word is gone; id 49152: BadRequestError",
    # choices
    "choices_are_drawn_apart": "n 3, seed 7, temperature 1.5: indexes 0 1 2, not all the same, the first as with n 1; "
    "prompt_tokens once",
    "choices_are_streamed_side_by_side": "the same streamed: each index has a role first and one finish_reason; the "
    "same texts",
    "too_many_choices_are_refused": "n 100: BadRequestError, param n",
    # logprobs
    "logprobs_spell_the_answer": "logprobs: tokens and bytes join to the content, each logprob <= 0; without: null",
    "likely_tokens_stand_beside": "top_logprobs 2: two each, the likelier first, and the first is the token itself",
    "logprobs_are_streamed": "streamed: the same tokens as in one piece",
    "logprobs_are_of_the_model_itself": "temperature 2 with top_k 1: the logprobs of temperature 0",
    "top_logprobs_need_logprobs": "BadRequestError, param top_logprobs",
    # the form of the answer
    "a_json_object_is_one": "response_format json_object: begins with {, and parses when it ended",
    "a_schema_is_kept": "response_format json_schema: content validates",
    "parse_gives_an_object": "chat.completions.parse with a model class: message.parsed",
    "a_schema_cut_short_is_told": "the same with max_tokens 2: LengthFinishReasonError",
    "an_unsupported_schema_is_refused": "keyword `not`: BadRequestError, param response_format, message names it",
    # tools
    "a_required_call_is_made": "tool_choice required: one of the functions, arguments valid, finish_reason tool_calls, "
    "content null",
    "a_named_function_is_called": "tool_choice by name: that one",
    "no_call_is_made_when_none_is_wanted": "tool_choice none: text",
    "a_model_may_choose": "tool_choice auto: finish_reason tool_calls exactly when there are calls",
    "one_call_at_most": "parallel_tool_calls false: one call",
    "parse_gives_arguments_as_objects": "parse with pydantic_function_tool: parsed_arguments",
    "a_call_is_answered": "assistant tool_calls + tool message: a text; its result is in the prompt",
    "a_call_is_streamed": "deltas: first id, type, name and empty arguments; then arguments only",
    "an_answer_without_its_call_is_refused": "BadRequestError, param messages[1].tool_call_id",
    "tools_are_checked": "tool_choice without tools, an unknown function, two of one name, a custom tool: by param",
    # streams
    "a_stream_is_the_answer_in_pieces": "the pieces join to the answer; no usage unless asked for",
    "usage_comes_last": "stream_options.include_usage: last chunk without choices, usage as in one piece",
    "the_stream_helper_tells_of_content": "chat.completions.stream: content.delta and content.done events, parsed",
    "the_stream_helper_tells_of_calls": "...: tool_calls.function.arguments.delta and .done, parsed_arguments",
    "a_stream_may_be_left": "close after one chunk: the next request is answered",
    # reasoning, templates
    "effort_is_for_models_that_reason": "reasoning_effort low: BadRequestError, param reasoning_effort",
    "templates_take_the_variables_that_they_read": "chat_template_kwargs enable_thinking: BadRequestError, param "
    "chat_template_kwargs.enable_thinking (the starter model's template reads none)",
    # the rest of OpenAI's fields
    "what_changes_no_answer_is_taken": "user, metadata, store, service_tier, ...: the same answer",
    "only_text_is_made": "modalities [text] taken; [text, audio]: BadRequestError",
    "what_is_not_supported_is_refused_by_name": "audio, functions, ...: BadRequestError, code unsupported_parameter",
    "an_unknown_field_is_refused": "BadRequestError, code unknown_parameter",
    # HTTP
    "a_body_too_large_is_told": "2 MB: status 413",
    "an_answer_has_an_id": "x-request-id comes back, and is in completion.id",
    "many_ask_at_once": "8 requests side by side answer as alone",
}


@pytest.fixture(scope="module")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with client(house) as opened:
        yield opened


@pytest.fixture
async def async_sdk(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_text_parts_say_what_text_says(sdk: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": text} for text in ("What is the capital", " of France?")]
    answer = ask(sdk, messages=[{"role": "user", "content": parts}])
    assert said(answer) == ANSWER
    assert usage(answer) == usage(ask(sdk))


def test_a_developer_is_a_system(sdk: openai.OpenAI) -> None:
    system, developer = (
        ask(sdk, messages=[{"role": role, "content": "You answer in one word, in capitals."}, *PARIS])
        for role in ("system", "developer")
    )
    assert (said(system), usage(system)) == (said(developer), usage(developer))
    # The template has a system message of its own where there is none.
    longer = ask(sdk, messages=[{"role": "developer", "content": "You answer. " * 20}, *PARIS])
    assert usage(longer)[0] > usage(developer)[0]


def test_an_earlier_answer_and_a_name_are_taken(sdk: openai.OpenAI) -> None:
    first = ask(sdk)
    italy = {"role": "user", "content": "And of Italy?"}
    second = ask(sdk, messages=[*PARIS, first.choices[0].message, italy])
    assert said(second)
    assert usage(second)[0] > sum(usage(first))
    named = ask(sdk, messages=[*PARIS, first.choices[0].message, italy | {"name": "kim"}])
    assert usage(named)[0] > usage(second)[0]


def test_images_are_refused(sdk: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    error = refused(
        sdk, messages=[{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]
    )
    assert error.param == "messages[0].content[1].type"
    assert "image_url" in error.message


def test_a_model_has_a_name_and_an_alias(sdk: openai.OpenAI) -> None:
    for model in ("starter", NAME):
        answer = ask(sdk, model=model)
        assert (answer.model, said(answer)) == (NAME, ANSWER)


def test_an_unknown_model_is_not_found(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask(sdk, model="gpt-4")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_models_are_listed_and_found(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [NAME]
    assert sdk.models.retrieve("starter").id == NAME
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("nobody/has-this")


def test_a_stream_is_the_answer_in_pieces(sdk: openai.OpenAI) -> None:
    found = chunks(sdk)
    assert joined(found) == {0: ANSWER}
    assert len(found) > 4
    assert found[0].choices[0].delta.role == "assistant"
    assert found[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in found}) == 1
    assert {chunk.model for chunk in found} == {NAME}
    assert not any(chunk.usage for chunk in found)


def test_usage_comes_last(sdk: openai.OpenAI) -> None:
    *found, last = chunks(sdk, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == usage(ask(sdk))
    assert not any(chunk.usage for chunk in found)


def test_a_stream_may_be_left(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(**fields(messages=REPEAT, max_tokens=500), stream=True)
    next(iter(stream))
    stream.close()
    assert said(ask(sdk)) == ANSWER


def test_effort_is_for_models_that_reason(sdk: openai.OpenAI) -> None:
    assert refused(sdk, reasoning_effort="low").param == "reasoning_effort"


def test_templates_take_the_variables_that_they_read(sdk: openai.OpenAI) -> None:
    """The starter model's reads none; tests/model has one that does."""
    error = refused(sdk, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    assert error.param == "chat_template_kwargs.enable_thinking"
    assert refused(sdk, extra_body={"chat_template_kwargs": 1}).param == "chat_template_kwargs"


def test_what_changes_no_answer_is_taken(sdk: openai.OpenAI) -> None:
    answer = ask(
        sdk,
        user="u",
        metadata={"a": "b"},
        store=False,
        service_tier="auto",
        safety_identifier="s",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
    )
    assert said(answer) == ANSWER


def test_only_text_is_made(sdk: openai.OpenAI) -> None:
    assert said(ask(sdk, modalities=["text"])) == ANSWER
    assert refused(sdk, modalities=["text", "audio"]).param == "modalities[1]"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("function_call", "auto"),
        ("functions", [{"name": "f"}]),
        ("moderation", {}),
        ("prediction", {"type": "content", "content": "x"}),
        ("verbosity", "low"),
        ("web_search_options", {}),
    ],
)
def test_what_is_not_supported_is_refused_by_name(sdk: openai.OpenAI, field: str, value: Any) -> None:
    error = refused(sdk, extra_body={field: value})
    assert (error.param, error.code) == (field, "unsupported_parameter")


def test_an_unknown_field_is_refused(sdk: openai.OpenAI) -> None:
    error = refused(sdk, extra_body={"surprise": 1})
    assert (error.param, error.code) == ("surprise", "unknown_parameter")


def test_a_body_too_large_is_told(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(sdk, messages=[{"role": "user", "content": "x" * 2_000_000}])
    assert caught.value.status_code == 413


def test_an_answer_has_an_id(sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        **fields(max_tokens=1), extra_headers={"X-Request-Id": "mine-2"}
    )
    assert raw.headers["x-request-id"] == "mine-2"
    assert raw.parse().id == "chatcmpl-mine-2"


async def test_many_ask_at_once(async_sdk: openai.AsyncOpenAI) -> None:
    words = ["France", "Italy", "Spain", "Japan"] * 2

    async def text(land: str) -> str | None:
        question = [{"role": "user", "content": f"What is the capital of {land}?"}]
        answer = await async_sdk.chat.completions.create(**fields(messages=question))
        return str(answer.choices[0].message.content)

    together = await asyncio.gather(*map(text, words))
    assert together == [await text(land) for land in words]
    assert together[0] == ANSWER


def test_every_check_of_the_list_is_here() -> None:
    """The list is what the other SDK is tried with, too."""
    files = Path(__file__).parent.glob("test_openai*.py")
    names = {
        name for file in files for name in re.findall(r"^(?:async )?def test_(\w+)", file.read_text(), re.M)
    }
    assert names - {"every_check_of_the_list_is_here"} == set(CHECKS)
