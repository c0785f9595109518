"""How long an answer gets, how its tokens are drawn, how many choices there are, and what was likely: by the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat.chat_completion import ChoiceLogprobs

from tests.e2e.conftest import House
from tests.e2e.sdk import (
    ANSWER,
    HOT,
    NO,
    PARIS_TOKEN,
    REPEAT,
    ask,
    chunks,
    client,
    joined,
    refused,
    said,
    usage,
)


@pytest.fixture(scope="module")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with client(house) as opened:
        yield opened


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
    # One penalty for a word does not end such a row of them; it changes a longer text.
    told, penalised = (
        said(ask(sdk, messages=NO, max_tokens=24, presence_penalty=penalty)) for penalty in (0, 2)
    )
    assert told != penalised


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
