"""Samplers and processors: the formulas on small arrays, and what a request's settings do to real text."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest

from worker.engine.model import Model
from worker.engine.sampling import Draw, adjust, draw
from worker.jobs import Sampling

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)

VOCABULARY = 6
LOGITS = [2.0, -1.0, 0.5, 3.0, -2.0, 0.0]
PROMPT = [3, 1]


def one(answer: Sequence[int] = (), choice: int = 0, **settings: Any) -> Draw:
    row = Draw(Sampling(**settings), PROMPT, choice)
    for token in answer:
        row.take(token)
    return row


def adjusted(answer: Sequence[int], **settings: Any) -> list[float]:
    """The logits of the row in the middle; those beside it ask for nothing and stay as they are."""
    logits = adjust(mx.array([LOGITS] * 3), [one(), one(answer, **settings), one([0, 1])])
    rows: list[list[float]] = logits.tolist()
    assert rows[0] == rows[2] == LOGITS
    return rows[1]


def drawn(count: int, **settings: Any) -> list[int]:
    """So many tokens of one row, in the company of a cold and of a hot one."""
    rows = [one(temperature=0), one(**settings), one(temperature=5.0, top_k=3)]
    logits = mx.array([LOGITS] * 3)
    return [int(draw(logits, rows)[1].item()) for _ in range(count)]


class TestAdjust:
    def test_the_defaults_change_nothing(self) -> None:
        assert adjusted([0, 1]) == LOGITS

    def test_presence_counts_a_token_of_the_answer_once(self) -> None:
        assert adjusted([0, 0, 2], presence_penalty=0.5) == [1.5, -1.0, 0.0, 3.0, -2.0, 0.0]

    def test_frequency_counts_each_time(self) -> None:
        assert adjusted([0, 0, 2], frequency_penalty=0.5) == [1.0, -1.0, 0.0, 3.0, -2.0, 0.0]

    def test_both_add_up(self) -> None:
        found = adjusted([0, 0, 2], presence_penalty=0.25, frequency_penalty=0.5)
        assert found == [0.75, -1.0, -0.25, 3.0, -2.0, 0.0]

    def test_a_negative_penalty_is_a_reward(self) -> None:
        assert adjusted([1], presence_penalty=-2.0)[1] == 1.0

    def test_they_leave_the_prompt_alone(self) -> None:
        assert adjusted([], presence_penalty=2.0, frequency_penalty=2.0) == LOGITS

    def test_repetition_shrinks_prompt_and_answer_alike(self) -> None:
        """Above zero divided, below zero multiplied; a token twice is changed once."""
        assert adjusted([0, 0], repetition_penalty=2.0) == [1.0, -2.0, 0.5, 1.5, -2.0, 0.0]

    def test_a_bias_is_added(self) -> None:
        assert adjusted([], logit_bias=((1, 5.0), (4, -100.0))) == [2.0, 4.0, 0.5, 3.0, -102.0, 0.0]

    def test_a_bias_counts_after_the_penalties(self) -> None:
        found = adjusted([0], repetition_penalty=2.0, presence_penalty=0.5, logit_bias=((0, 1.0),))
        assert found[0] == 2.0 / 2.0 - 0.5 + 1.0


class TestDraw:
    @pytest.mark.parametrize("temperature", [0.0, 1e-9])
    def test_cold_is_greedy(self, temperature: float) -> None:
        assert set(drawn(20, temperature=temperature)) == {3}

    def test_the_first_of_one_is_greedy(self) -> None:
        assert set(drawn(50, temperature=2.0, top_k=1)) == {3}

    @pytest.mark.parametrize("top_p", [0.0, 1e-12, 1e-6])
    def test_next_to_no_mass_is_greedy(self, top_p: float) -> None:
        assert set(drawn(50, temperature=2.0, top_p=top_p)) == {3}

    def test_little_mass_of_many_tokens_still_leaves_one(self) -> None:
        """A sum over a real vocabulary is not exactly 1: nothing at all would be left of it."""
        logits = mx.zeros((1, 150_000)).at[:, 5].add(9.0)
        for top_p in (0.0, 1e-6, 1e-4, 1e-3, 2e-3):
            row = one(temperature=1.0, top_p=top_p)
            assert {int(draw(logits, [row]).item()) for _ in range(10)} == {5}

    def test_what_is_forbidden_is_never_drawn(self) -> None:
        logits = mx.full((2, 1_000), -mx.inf).at[:, 7].add(mx.inf)
        logits[:, 7] = -50.0
        rows = [one(temperature=2.0), one(temperature=2.0, top_p=0.9, top_k=50)]
        assert {token for _ in range(20) for token in draw(logits, rows).tolist()} == {7}

    def test_top_k_keeps_that_many(self) -> None:
        assert set(drawn(300, temperature=2.0, top_k=2, seed=1)) == {3, 0}

    def test_top_p_keeps_the_least_that_reaches_it(self) -> None:
        """The probabilities are 0.63 and 0.23 and then 0.05: two are needed for 0.8."""
        assert set(drawn(300, temperature=1.0, top_p=0.8, seed=1)) == {3, 0}

    def test_min_p_is_relative_to_the_best(self) -> None:
        assert set(drawn(300, temperature=1.0, min_p=math.exp(-1.1), seed=1)) == {3, 0}

    def test_a_top_k_beyond_the_vocabulary_cuts_nothing(self) -> None:
        assert set(drawn(500, temperature=2.0, top_k=10**6, seed=1)) == set(range(VOCABULARY))

    def test_the_temperature_flattens(self) -> None:
        cold, hot = (drawn(400, temperature=t, seed=1).count(3) for t in (0.5, 2.0))
        assert cold > 300 > 250 > hot

    def test_the_temperature_comes_before_the_cuts(self) -> None:
        """At 2.0 the best have 0.38, 0.23 and 0.11: 0.6 takes two, where at 1.0 it would take one."""
        assert set(drawn(300, temperature=1.0, top_p=0.6, seed=1)) == {3}
        assert set(drawn(300, temperature=2.0, top_p=0.6, seed=1)) == {3, 0}

    @pytest.mark.parametrize("seed", [0, 1, -1, -(2**63), 2**63 - 1])
    def test_a_seed_repeats(self, seed: int) -> None:
        assert drawn(20, temperature=2.0, seed=seed) == drawn(20, temperature=2.0, seed=seed)

    def test_another_seed_draws_otherwise(self) -> None:
        assert drawn(20, temperature=2.0, seed=1) != drawn(20, temperature=2.0, seed=2)

    def test_each_choice_has_random_numbers_of_its_own(self) -> None:
        logits = mx.zeros((3, VOCABULARY))
        rows = [one(choice=choice, seed=1) for choice in (0, 1, 0)]
        first, second, again = zip(*(draw(logits, rows).tolist() for _ in range(20)), strict=True)
        assert first == again != second

    def test_company_changes_nothing(self) -> None:
        """Whether others are greedy, cut or free: a seeded row draws the same."""
        logits = mx.array([LOGITS])
        for settings in ({"seed": 3}, {"seed": 3, "top_p": 0.9}):
            row = one(temperature=2.0, **settings)
            assert [int(draw(logits, [row]).item()) for _ in range(30)] == drawn(
                30, temperature=2.0, **settings
            )


STORY = "Tell me a story about a fox."


class TestText:
    async def test_a_seed_gives_the_same_text_alone_and_in_company(self, ask: Any) -> None:
        alone = await ask(STORY, temperature=1.0, seed=7, max_tokens=24)
        others = [ask(f"Count to {n}.", temperature=1.0, max_tokens=8 + n) for n in range(4)]
        again, *_ = await asyncio.gather(ask(STORY, temperature=1.0, seed=7, max_tokens=24), *others)
        assert again.text == alone.text
        other = await ask(STORY, temperature=1.0, seed=8, max_tokens=24)
        assert other.text != alone.text

    async def test_a_large_bias_always_and_its_opposite_never(self, ask: Any, model: Model) -> None:
        moon, paris = model.tokenizer.encode(" moon")[0], " Paris"
        [paris_id] = model.tokenizer.encode(paris)
        always = await ask("Hi", temperature=1.0, max_tokens=6, logit_bias={str(moon): 100})
        assert always.text.strip().split() == ["moon"] * 6
        question = "What is the capital of France?"
        assert paris in (await ask(question, temperature=0, max_tokens=12)).text
        assert (
            paris
            not in (await ask(question, temperature=0, max_tokens=12, logit_bias={str(paris_id): -100})).text
        )

    async def test_the_first_of_one_is_the_greedy_text(self, ask: Any) -> None:
        greedy, first = await asyncio.gather(
            ask(STORY, temperature=0, max_tokens=24), ask(STORY, temperature=1.5, top_k=1, max_tokens=24)
        )
        assert first.text == greedy.text

    async def test_a_penalty_ends_a_repetition(self, ask: Any, model: Model) -> None:
        [moon] = model.tokenizer.encode(" moon")
        forced = {"temperature": 0, "max_tokens": 24, "logit_bias": {str(moon): 20}}
        plain, penalised = await asyncio.gather(
            ask("Hi", **forced), ask("Hi", **forced, frequency_penalty=2.0)
        )
        assert plain.text.split() == ["moon"] * 24
        assert 2 < penalised.text.split().count("moon") < 20
