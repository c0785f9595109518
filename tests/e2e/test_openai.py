"""Every field of a chat request, seen to have its effect by the official SDK over HTTP.

CHECKS is the list of what is tried, mirrored by tests/e2e/npm with the SDK for JavaScript.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion import ChoiceLogprobs
from pydantic import BaseModel

from tests.e2e.conftest import House

CHECKS = {
    # the conversation
    "text_parts_say_what_text_says": "content of two text parts: the prompt_tokens and the answer of one text",
    "a_developer_is_a_system": "role developer: the prompt_tokens and the answer of role system; more than without",
    "an_earlier_answer_and_a_name_are_taken": "assistant message of the SDK sent back, user with name: answered",
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
    "templates_take_variables": "chat_template_kwargs enable_thinking: taken, the answer is the same",
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

PARIS = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
# Alone, the starter model goes on with this until its limit.
REPEAT = [{"role": "user", "content": "Repeat the word no ten times."}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
PARIS_TOKEN = "7042"  # " Paris" in the starter model's vocabulary of 49152
NAME = "smollm2-135m-instruct"
HOT = {"temperature": 1.5, "seed": 7}


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
def sdk(house: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0)


@pytest.fixture
async def async_sdk(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def fields(**given: Any) -> dict[str, Any]:
    """A request that is answered the same each time, unless it says otherwise."""
    return {"model": "starter", "messages": PARIS, "temperature": 0, "max_tokens": 12} | given


def ask(sdk: openai.OpenAI, **given: Any) -> ChatCompletion:
    found = sdk.chat.completions.create(**fields(**given))
    assert isinstance(found, ChatCompletion)
    return found


def chunks(sdk: openai.OpenAI, **given: Any) -> list[ChatCompletionChunk]:
    return list(sdk.chat.completions.create(**fields(**given), stream=True))


def said(completion: ChatCompletion) -> str:
    content = completion.choices[0].message.content
    assert content is not None
    return content


def joined(found: Iterable[ChatCompletionChunk]) -> dict[int, str]:
    """The text of each choice."""
    texts: dict[int, str] = defaultdict(str)
    for chunk in found:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    return dict(texts)


def refused(sdk: openai.OpenAI, **given: Any) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, **given)
    assert caught.value.status_code == 400
    return caught.value


def usage(completion: ChatCompletion) -> tuple[int, int]:
    assert completion.usage is not None
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )
    return completion.usage.prompt_tokens, completion.usage.completion_tokens


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
    again = [*PARIS, first.choices[0].message, {"role": "user", "name": "kim", "content": "And of Italy?"}]
    second = ask(sdk, messages=again)
    assert said(second)
    assert usage(second)[0] > sum(usage(first))


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


def test_a_limit_cuts(sdk: openai.OpenAI) -> None:
    for limit in ({"max_tokens": 3}, {"max_tokens": 5, "max_completion_tokens": 3}):
        answer = ask(sdk, **limit)
        assert (said(answer), answer.choices[0].finish_reason) == ("The capital of", "length")
        assert usage(answer)[1] == 3
    assert ask(sdk).choices[0].finish_reason == "stop"


def test_a_limit_that_never_fits_is_refused(sdk: openai.OpenAI) -> None:
    error = refused(sdk, max_tokens=1_000_000)
    assert (error.code, error.param) == ("context_length_exceeded", "max_tokens")
    assert refused(sdk, max_tokens=0).param == "max_tokens"


def test_a_stop_ends_the_text(sdk: openai.OpenAI) -> None:
    for stop, text in ((" Paris", "The capital of France is"), (["rance is Pa", "x"], "The capital of F")):
        answer = ask(sdk, stop=stop)
        assert (said(answer), answer.choices[0].finish_reason) == (text, "stop")
    assert refused(sdk, stop=list("abcde")).param == "stop"


def test_a_stop_is_never_shown_in_a_stream(sdk: openai.OpenAI) -> None:
    found = chunks(sdk, stop="rance is Pa")
    assert joined(found) == {0: "The capital of F"}
    assert found[-1].choices[0].finish_reason == "stop"


def test_a_seed_repeats(sdk: openai.OpenAI) -> None:
    texts = [said(ask(sdk, **HOT | {"seed": seed})) for seed in (7, 7, 8, 9)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_a_hot_answer_differs_from_a_cold_one(sdk: openai.OpenAI) -> None:
    assert said(ask(sdk, temperature=2, seed=7)) != ANSWER


@pytest.mark.parametrize(
    "narrow", [{"top_p": 1e-6}, {"extra_body": {"top_k": 1}}, {"extra_body": {"min_p": 1}}], ids=str
)
def test_narrow_sampling_is_greedy(sdk: openai.OpenAI, narrow: dict[str, Any]) -> None:
    assert said(ask(sdk, temperature=2, **narrow)) == ANSWER


def test_penalties_keep_from_repeating(sdk: openai.OpenAI) -> None:
    def text(**given: Any) -> str:
        return said(ask(sdk, messages=REPEAT, max_tokens=16, **given)).lower()

    plain = text()
    assert plain.count("no") > 10
    assert text(frequency_penalty=2).count("no") < plain.count("no")
    assert text(extra_body={"repetition_penalty": 1.5}).count("no") < plain.count("no")
    assert text(presence_penalty=2) != plain


def test_a_bias_forbids_a_token(sdk: openai.OpenAI) -> None:
    assert " Paris" not in said(ask(sdk, logit_bias={PARIS_TOKEN: -100}))
    assert set(said(ask(sdk, logit_bias={PARIS_TOKEN: 100}, max_tokens=4)).split()) == {"Paris"}
    assert refused(sdk, logit_bias={"49152": 1}).param == "logit_bias"


def test_choices_are_drawn_apart(sdk: openai.OpenAI) -> None:
    three = ask(sdk, n=3, **HOT)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in three.choices}) > 1
    alone = ask(sdk, **HOT)
    assert three.choices[0].message.content == said(alone)
    assert usage(three)[0] == usage(alone)[0]
    assert usage(three)[1] > usage(alone)[1]


def test_choices_are_streamed_side_by_side(sdk: openai.OpenAI) -> None:
    found = chunks(sdk, n=3, **HOT)
    whole = ask(sdk, n=3, **HOT)
    assert joined(found) == {choice.index: choice.message.content for choice in whole.choices}
    of_each = {
        index: [choice for chunk in found for choice in chunk.choices if choice.index == index]
        for index in range(3)
    }
    for index, choices in of_each.items():
        assert [choice.delta.role for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
        assert [choice.finish_reason for choice in choices if choice.finish_reason] == [
            whole.choices[index].finish_reason
        ]


def test_too_many_choices_are_refused(sdk: openai.OpenAI) -> None:
    assert refused(sdk, n=100).param == "n"
    assert refused(sdk, n=0).param == "n"


def spelled(logprobs: ChoiceLogprobs | None) -> tuple[str, bytes]:
    assert logprobs is not None
    assert logprobs.content is not None
    assert all(token.logprob <= 0 for token in logprobs.content)
    return (
        "".join(token.token for token in logprobs.content),
        b"".join(bytes(token.bytes or []) for token in logprobs.content),
    )


def test_logprobs_spell_the_answer(sdk: openai.OpenAI) -> None:
    [choice] = ask(sdk, logprobs=True).choices
    assert spelled(choice.logprobs) == (ANSWER, ANSWER.encode())
    assert choice.logprobs is not None
    assert [token.top_logprobs for token in choice.logprobs.content or []] == [[]] * 7
    assert ask(sdk).choices[0].logprobs is None


def test_likely_tokens_stand_beside(sdk: openai.OpenAI) -> None:
    [choice] = ask(sdk, logprobs=True, top_logprobs=2).choices
    assert choice.logprobs is not None
    for token in choice.logprobs.content or []:
        first, second = token.top_logprobs
        assert (first.token, first.bytes) == (token.token, token.bytes)
        assert first.logprob == pytest.approx(token.logprob)
        assert first.logprob >= second.logprob


def test_logprobs_are_streamed(sdk: openai.OpenAI) -> None:
    found = chunks(sdk, logprobs=True, top_logprobs=1)
    tokens = [
        token
        for chunk in found
        for choice in chunk.choices
        if choice.logprobs is not None
        for token in choice.logprobs.content or []
    ]
    assert "".join(token.token for token in tokens) == joined(found)[0] == ANSWER
    assert b"".join(bytes(token.bytes or []) for token in tokens) == ANSWER.encode()
    assert [len(token.top_logprobs) for token in tokens] == [1] * 7


def test_logprobs_are_of_the_model_itself(sdk: openai.OpenAI) -> None:
    cold = ask(sdk, logprobs=True).choices[0].logprobs
    hot = ask(sdk, logprobs=True, temperature=2, extra_body={"top_k": 1}).choices[0].logprobs
    assert cold is not None and hot is not None
    assert [token.logprob for token in hot.content or []] == pytest.approx(
        [token.logprob for token in cold.content or []], abs=1e-3
    )


def test_top_logprobs_need_logprobs(sdk: openai.OpenAI) -> None:
    assert refused(sdk, top_logprobs=2).param == "top_logprobs"
    assert refused(sdk, logprobs=True, top_logprobs=21).param == "top_logprobs"


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
    {"GetWeather": GetWeather, "GetTime": GetTime}[name].model_validate(arguments)


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


def test_a_stream_may_be_left(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(**fields(messages=REPEAT, max_tokens=500), stream=True)
    next(iter(stream))
    stream.close()
    assert said(ask(sdk)) == ANSWER


def test_effort_is_for_models_that_reason(sdk: openai.OpenAI) -> None:
    assert refused(sdk, reasoning_effort="low").param == "reasoning_effort"


def test_templates_take_variables(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    assert said(answer) == ANSWER
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
    mine = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert mine - {"every_check_of_the_list_is_here"} == set(CHECKS)
