"""The engine with a real model: one batch for all, exact text, and memory that is counted."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schemas.chat import JsonSchema, JsonSchemaFormat
from schemas.errors import ContextLengthExceeded
from tests.model.conftest import LONG
from worker.engine.cost import measure
from worker.engine.kv import nbytes
from worker.engine.model import Model
from worker.jobs import Done, Failed, Prepared, Text

Alone = Callable[[Prepared], str]

QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "Tell me a story about a fox.",
    "2 + 2 =",
]


@contextmanager
def watched(ask: Any) -> Iterator[list[int]]:
    """How many rows each decode step computed together."""
    decoder = ask.batch._decoder
    real, sizes = decoder.step, []

    def counted() -> Any:
        sizes.append(len(decoder.rows))
        return real()

    decoder.step = counted
    try:
        yield sizes
    finally:
        del decoder.step


class TestBatch:
    async def test_four_chats_at_once_are_one_batch_and_each_is_as_if_alone(
        self, ask: Any, alone: Alone
    ) -> None:
        works = [await ask.work(text, temperature=0, max_tokens=20) for text in QUESTIONS]
        with watched(ask) as sizes:
            answers = await asyncio.gather(*(ask.run(work, "chat") for work in works))
        assert max(sizes) == 4
        for work, answer in zip(works, answers, strict=True):
            assert answer.text == alone(work)

    async def test_a_row_joins_while_others_are_decoded(self, ask: Any, alone: Alone) -> None:
        work = await ask.work(QUESTIONS[0], temperature=0, max_tokens=12)
        async with ask.engine.run(ask.job(await ask.work(QUESTIONS[2], **LONG))) as run:
            assert isinstance(await run.next(), Text)
            answer = await ask.run(work)
            assert not any(isinstance(event, Done | Failed) for event in _now(run.events))
        assert answer.text == alone(work)

    async def test_a_shared_head_changes_nothing_but_the_work(self, ask: Any) -> None:
        """What prompts begin with is computed once; the answer and its counts are the same."""
        plain = await ask.work("Here is some news. Bitcoin rises.", temperature=0, max_tokens=16)
        other = await ask.work("Here is some news. Ether falls.", temperature=0, max_tokens=16)
        head = _common(plain.prompt, other.prompt)
        shared = [await _with_head(ask, work, head) for work in (plain, other, plain)]
        alone = [await ask.run(work) for work in (plain, other)]
        together = await asyncio.gather(*map(ask.run, shared))
        assert [answer.text for answer in together] == [alone[0].text, alone[1].text, alone[0].text]
        usages = [answer.done.usage for answer in together]
        assert usages[0].prompt_tokens == alone[0].done.usage.prompt_tokens == len(plain.prompt)
        # The first computes it, or what chat has not computed of it before, for all that come after.
        cached = [usage.prompt_tokens_details.cached_tokens for usage in usages]
        assert cached[0] < len(head) == cached[1] == cached[2]

    async def test_penalties_count_a_shared_head_as_prompt(self, ask: Any) -> None:
        fields = {"temperature": 0, "max_tokens": 12, "presence_penalty": 2.0, "repetition_penalty": 1.3}
        work = await ask.work("Here is some news. Bitcoin rises.", **fields)
        shared = await _with_head(ask, work, work.prompt[:-6])
        assert (await ask.run(shared)).text == (await ask.run(work)).text


def _now(events: asyncio.Queue[Any]) -> list[Any]:
    return [events.get_nowait() for _ in range(events.qsize())]


def _common(one: list[int], other: list[int]) -> list[int]:
    length = next(at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return one[:length]


async def _with_head(ask: Any, work: Any, head: list[int]) -> Any:
    return dataclasses.replace(work, head=len(head))


class TestEnd:
    async def test_the_end_of_the_turn(self, ask: Any, model: Model) -> None:
        answer = await ask(QUESTIONS[0], temperature=0, max_tokens=50)
        assert answer.text == "The capital of France is Paris."
        assert answer.done.finish == "stop"
        assert answer.done.usage.completion_tokens == len(model.tokenizer.encode(answer.text))

    async def test_usage_is_the_tokenizers_count(self, ask: Any, model: Model) -> None:
        work = await ask.work(QUESTIONS[2], temperature=0, max_tokens=20)
        answer = await ask.run(work)
        usage = answer.done.usage
        assert usage.prompt_tokens == len(work.prompt)
        assert usage.completion_tokens == len(model.tokenizer.encode(answer.text)) == 20
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens

    @pytest.mark.parametrize("limit", [1, 2, 7])
    async def test_a_limit(self, ask: Any, limit: int) -> None:
        answer = await ask(QUESTIONS[2], temperature=0, max_tokens=limit)
        assert answer.done.finish == "length"
        assert answer.done.usage.completion_tokens == limit

    async def test_a_limit_that_the_answer_just_meets_is_no_length(self, ask: Any) -> None:
        """The token that ends the turn needs room too: with none left the end is not known."""
        tokens = (await ask(QUESTIONS[0], temperature=0)).done.usage.completion_tokens
        assert (await ask(QUESTIONS[0], temperature=0, max_tokens=tokens + 1)).done.finish == "stop"
        assert (await ask(QUESTIONS[0], temperature=0, max_tokens=tokens)).done.finish == "length"

    async def test_a_stop_string_that_crosses_tokens(self, ask: Any, model: Model) -> None:
        whole = (await ask(QUESTIONS[0], temperature=0)).text
        stop = "al of Fra"
        assert all(stop not in model.tokenizer.decode([token]) for token in model.tokenizer.encode(whole))
        answer = await ask(QUESTIONS[0], temperature=0, stop=["never", stop])
        assert answer.text == whole[: whole.index(stop)] == "The capit"
        assert answer.done.finish == "stop"
        for piece in answer.pieces:
            assert stop[:2] not in piece

    async def test_a_stop_string_at_once(self, ask: Any) -> None:
        answer = await ask(QUESTIONS[0], temperature=0, stop="The")
        assert (answer.text, answer.done.finish) == ("", "stop")

    async def test_what_only_looked_like_a_stop_string_is_shown(self, ask: Any) -> None:
        answer = await ask(QUESTIONS[0], temperature=0, stop="Paris!")
        assert answer.text == "The capital of France is Paris."
        cut = await ask(QUESTIONS[0], temperature=0, stop="capital of Spain", max_tokens=3)
        assert cut.text == "The capital of"
        assert cut.done.finish == "length"

    async def test_durations_are_those_of_the_phases(self, ask: Any) -> None:
        durations = (await ask(QUESTIONS[2], temperature=0, max_tokens=4)).done.durations
        assert 0 <= durations.queued < durations.prefill
        assert durations.decode > 0


KOREAN = '비트코인 가격이 "급등" 🚀👩‍💻🇰🇷 — 5.4% 올랐다 \\ 끝.'


class TestCharacters:
    async def test_pieces_are_whole_characters(self, ask: Any) -> None:
        """A grammar with one answer makes even a small English model write Korean."""
        schema = JsonSchemaFormat(JsonSchema(name="a", schema={"const": KOREAN}))
        answer = await ask("Hi", response_format=schema, max_tokens=300, temperature=1.0, seed=1)
        assert json.loads(answer.text) == KOREAN
        assert len(answer.pieces) > 20
        assert not any("\ufffd" in piece or piece == "" for piece in answer.pieces)
        for piece in answer.pieces:
            piece.encode()

    async def test_a_character_that_was_cut_by_the_limit_is_left_out(self, ask: Any) -> None:
        schema = JsonSchemaFormat(JsonSchema(name="a", schema={"const": "🚀🚀🚀🚀"}))
        answers = await asyncio.gather(
            *(ask("Hi", response_format=schema, max_tokens=limit, temperature=0) for limit in range(1, 9))
        )
        for answer in answers:
            assert answer.done.finish == "length"
            assert '"🚀🚀🚀🚀"'.startswith(answer.text)
        assert len({answer.text for answer in answers}) < len(answers), "no limit fell inside a character"


class TestMemory:
    """KV state has a budget in bytes: what does not fit now waits, what never fits is refused at once."""

    KV = 8 * 2**20  # about half a row of the starter model: 46 KB a token, 256 tokens to spare

    async def test_what_never_fits_is_refused(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(slots=4, kv_bytes=2 * self.KV) as ask:
            with pytest.raises(ContextLengthExceeded) as caught:
                await ask.work("Hi", max_tokens=1000)
            assert caught.value.code == "context_length_exceeded"
            with pytest.raises(ContextLengthExceeded):
                await ask.work("Hi", max_tokens=20, n=2)
            assert (await ask("Hi", max_tokens=2)).done

    async def test_what_does_not_fit_now_waits(self, make_engine: Callable[..., Any], net: Any) -> None:
        row = measure(net)(1, 60)
        async with make_engine(slots=4, kv_bytes=2 * row) as ask:
            works = [await ask.work(text, temperature=0, max_tokens=12) for text in QUESTIONS]
            with watched(ask) as sizes:
                answers = await asyncio.gather(*map(ask.run, works))
            assert [answer.done.finish for answer in answers].count("length") >= 2
            assert max(sizes) == 2

    async def test_the_budget_is_what_the_caches_take(
        self, make_engine: Callable[..., Any], net: Any
    ) -> None:
        """Of every step, the state of all rows together; mlx's own growth is part of the price."""
        cost, held = measure(net), []
        async with make_engine(slots=4) as ask:
            works = [await ask.work(text * 40, temperature=0, max_tokens=300) for text in QUESTIONS]
            decoder = ask.batch._decoder
            real = decoder.step

            def step() -> Any:
                held.append((len(decoder.rows), nbytes(decoder._state)))
                return real()

            decoder.step = step
            await asyncio.gather(*map(ask.run, [dataclasses.replace(work, max_tokens=20) for work in works]))
        widest = max(len(work.prompt) for work in works) + 20
        assert all(size <= cost(rows, widest) for rows, size in held)


async def test_work_is_counted(ask: Any) -> None:
    before = ask.engine.counters.copy()
    usage = (await ask(QUESTIONS[0], temperature=0)).done.usage
    after = ask.engine.counters
    computed = usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens
    assert after.prompt_tokens - before.prompt_tokens == computed
    assert after.decode_tokens - before.decode_tokens == usage.completion_tokens
    assert after.busy_seconds > before.busy_seconds
    assert ask.engine.memory_bytes() > 400_000_000
