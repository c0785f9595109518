"""`n` and `logprobs`: choices that share one prompt, and what the model thought of each token."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from schemas.chat import JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from worker.engine.model import Model

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)

STORY = "Tell me a story about a fox."
CAPITAL = "What is the capital of France?"


class TestChoices:
    async def test_the_prompt_is_computed_once(self, ask: Any) -> None:
        work = await ask.work(STORY, n=4, temperature=1.0, seed=5, max_tokens=12)
        before = ask.engine.counters.copy()
        answer = await ask.run(work)
        computed = ask.engine.counters.prompt_tokens - before.prompt_tokens
        assert computed + answer.done.usage.prompt_tokens_details.cached_tokens == len(work.prompt)
        assert answer.done.usage.prompt_tokens == len(work.prompt)
        assert answer.done.usage.completion_tokens == 4 * 12
        assert len({choice.text for choice in answer.choices}) == 4
        assert [choice.finish for choice in answer.choices] == ["length"] * 4

    async def test_the_first_is_what_it_would_be_alone_and_all_repeat(self, ask: Any) -> None:
        fields = {"temperature": 1.0, "seed": 5, "max_tokens": 12}
        single, three, again = await asyncio.gather(
            ask(STORY, **fields), ask(STORY, n=3, **fields), ask(STORY, n=3, **fields)
        )
        assert three.text == single.text
        assert [c.text for c in three.choices] == [c.text for c in again.choices]

    async def test_greedy_choices_are_the_same_and_each_ends_by_itself(self, ask: Any) -> None:
        answer = await ask(CAPITAL, n=3, temperature=0)
        assert [choice.text for choice in answer.choices] == ["The capital of France is Paris."] * 3
        assert [choice.finish for choice in answer.choices] == ["stop"] * 3

    async def test_they_interleave(self, ask: Any) -> None:
        work = await ask.work(STORY, n=2, temperature=1.0, seed=5, max_tokens=10)
        order = []
        async with ask.engine.run(ask.job(work)) as run:
            while hasattr(event := await run.next(), "choice"):
                order.append(event.choice)
        assert order.index(1) < len(order) - 1 - order[::-1].index(0), order

    async def test_more_than_there_are_rows_is_refused(self, ask: Any) -> None:
        with pytest.raises(BadRequest) as caught:
            await ask.work("Hi", n=14)
        assert caught.value.param == "n"


class TestLogprobs:
    async def test_they_are_the_models_own(self, ask: Any, net: Any, model: Model) -> None:
        """Against mlx alone: of the distribution before temperature, bias, penalties."""
        work = await ask.work(
            CAPITAL, logprobs=True, top_logprobs=3, temperature=0, max_tokens=4, logit_bias={"100": 5}
        )
        answer = await ask.run(work)
        logits = net(mx.array([work.prompt]))[0, -1]
        expected = logits - mx.logsumexp(logits)
        first = answer.choices[0].logprobs[0]
        best = mx.argsort(-expected)[:3].tolist()
        assert math.isclose(first.logprob, expected[best[0]].item(), abs_tol=1e-3)
        assert [entry.token for entry in first.top_logprobs] == [model.tokenizer.decode([t]) for t in best]
        for entry, token in zip(first.top_logprobs, best, strict=True):
            assert math.isclose(entry.logprob, expected[token].item(), abs_tol=1e-3)

    async def test_tokens_are_the_answers(self, ask: Any) -> None:
        with_them, without = await asyncio.gather(
            ask(CAPITAL, logprobs=True, temperature=0), ask(CAPITAL, temperature=0)
        )
        [choice] = with_them.choices
        assert choice.text == without.text == "".join(entry.token for entry in choice.logprobs)
        assert b"".join(bytes(entry.bytes) for entry in choice.logprobs).decode() == choice.text
        assert len(choice.logprobs) == with_them.done.usage.completion_tokens
        assert all(entry.top_logprobs == [] and entry.logprob <= 0 for entry in choice.logprobs)
        assert without.choices[0].logprobs == []

    async def test_what_a_stop_string_cuts_has_none(self, ask: Any) -> None:
        answer = await ask(CAPITAL, logprobs=True, temperature=0, stop=" France")
        assert answer.text == "The capital of"
        assert [entry.token for entry in answer.choices[0].logprobs] == ["The", " capital", " of"]

    async def test_rows_that_ask_for_different_numbers(self, ask: Any) -> None:
        answers = await asyncio.gather(
            *(ask(STORY, logprobs=True, top_logprobs=n, temperature=0, max_tokens=3 + n) for n in (0, 1, 5)),
            ask(STORY, temperature=0, max_tokens=6),
        )
        for n, answer in zip((0, 1, 5), answers, strict=False):
            entries = answer.choices[0].logprobs
            assert [len(entry.top_logprobs) for entry in entries] == [n] * (3 + n)
            for entry in entries:
                assert all(entry.token == top.token for top in entry.top_logprobs[:1])

    async def test_a_character_of_several_tokens_has_its_bytes(self, ask: Any, model: Model) -> None:
        schema = JsonSchemaFormat(JsonSchema(name="a", schema={"const": "🚀"}))
        answer = await ask("Hi", logprobs=True, response_format=schema, max_tokens=30)
        entries = answer.choices[0].logprobs
        assert b"".join(bytes(entry.bytes) for entry in entries).decode() == '"🚀"'
        assert len(entries) > 3
