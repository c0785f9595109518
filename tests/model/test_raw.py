"""Raw prompts: their tokens are the author's own, and the answer goes on where they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import BadRequest, ContextLengthExceeded
from schemas.text import TextRequest
from tests.model.conftest import Asker
from worker.engine.model import Model
from worker.jobs import Prepared

PARIS = "The capital of France is"


def prepared(model: Model, prompt: Any, **fields: Any) -> Prepared:
    return model.prepare(TextRequest(prompt=prompt, temperature=0, **fields))


def refused(model: Model, prompt: Any, **fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        prepared(model, prompt, **fields)
    return caught.value


def test_no_template_stands_around_it(model: Model) -> None:
    assert model.tokenizer.decode(prepared(model, PARIS).prompt) == PARIS


def test_control_tokens_may_be_written(model: Model) -> None:
    """Who writes a raw prompt writes its template, too: another rule than that of a chat's messages."""
    tokens = prepared(model, "<|im_start|>user\nHi<|im_end|>\n").prompt
    assert {1, 2} <= set(tokens)


def test_tokens_are_taken_as_they_are(model: Model) -> None:
    assert prepared(model, [5, 1, 49_151]).prompt == [5, 1, 49_151]


def test_a_token_that_there_is_not_is_refused(model: Model) -> None:
    """It would be a memory error inside MLX."""
    error = refused(model, [5, model.vocabulary])
    assert (error.param, error.code) == ("prompt", "invalid_value")


def test_limits_are_told_of_the_prompt(model: Model) -> None:
    assert prepared(model, PARIS).max_tokens == 16
    assert prepared(model, [5] * (model.context - 3)).max_tokens == 3
    error = refused(model, [5] * model.context)
    assert isinstance(error, ContextLengthExceeded)
    assert error.param == "prompt"
    assert refused(model, [5] * (model.context - 3), max_tokens=4).param == "max_tokens"


async def answered(ask: Asker, prompt: Any, **fields: Any) -> tuple[Prepared, str]:
    work = await ask.engine.prepare(TextRequest(prompt=prompt, temperature=0, **fields))
    return work, (await ask.run(work, "chat")).text


async def test_the_answer_goes_on_in_the_middle_of_the_text(
    ask: Asker, alone: Callable[[Prepared], str]
) -> None:
    work, text = await answered(ask, PARIS)
    assert text.startswith(" Paris")  # mlx_lm itself drops the blank
    assert text.removeprefix(" ") == alone(work)


async def test_a_chat_begins_without_a_blank(ask: Asker) -> None:
    answer = await ask("What is the capital of France?", temperature=0)
    assert answer.text == answer.text.lstrip()


async def test_stop_strings_and_logprobs_are_those_of_the_text(ask: Asker) -> None:
    work = await ask.engine.prepare(TextRequest(prompt=PARIS, temperature=0, stop=".", logprobs=1))
    answer = await ask.run(work, "chat")
    assert answer.text == " Paris"
    assert [one.token for one in answer.choices[0].logprobs] == [" Paris"]
    assert answer.choices[0].finish == "stop"
