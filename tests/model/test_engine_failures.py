"""What goes wrong in the engine fails what it has to, says so, and leaves the rest alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.chat import JsonObjectFormat
from schemas.errors import BadRequest, EngineFailed
from worker.engine.batch import Batch
from worker.engine.grammar import Guide

QUESTIONS = ["What is the capital of France?", "Name three colours."]
LONG = {"temperature": 0, "max_tokens": 500, "logit_bias": {"0": -100, "2": -100}}  # no end of its own


class Panic(BaseException):
    """What comes out of Rust code that panics."""


class TestFailure:
    @pytest.mark.parametrize("kind", [RuntimeError, Panic])
    async def test_a_step_that_fails_fails_its_rows_and_no_others(
        self, ask: Any, kind: type[BaseException]
    ) -> None:
        works = [await ask.work(text, **LONG) for text in QUESTIONS]
        decoder, calls = ask.batch._decoder, iter(range(1_000))
        real = decoder.step

        def once() -> Any:
            if next(calls) == 4:
                raise kind("[metal] command buffer execution failed")
            return real()

        decoder.step = once  # the batch is thrown away, and this with it
        answers = await asyncio.gather(*map(ask.run, works))
        for answer in answers:
            assert isinstance(answer.error, EngineFailed)
            assert answer.error.message == "The model failed on this batch; try again."
        assert (await ask(QUESTIONS[0], temperature=0)).text == "The capital of France is Paris."
        await ask.idle()

    async def test_a_job_that_cannot_be_inserted_fails_alone(
        self, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good, bad = [await ask.work(text, temperature=0, max_tokens=5) for text in QUESTIONS]
        real = Batch.insert

        def insert(batch: Any, job: Any, submitted: float) -> None:
            if job.work is bad:
                raise ValueError("no")
            real(batch, job, submitted)

        monkeypatch.setattr(Batch, "insert", insert)
        fine, failed = await asyncio.gather(ask.run(good), ask.run(bad))
        assert fine.done.finish == "length"
        assert isinstance(failed.error, EngineFailed)
        await ask.idle()

    async def test_a_row_that_leaves_its_grammar_fails_alone(
        self, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        guided = await ask.work(QUESTIONS[0], temperature=0, response_format=JsonObjectFormat())
        free = await ask.work(QUESTIONS[0], temperature=0)

        class Lost:
            """A matcher whose grammar's machine has given up."""

            def consume_token(self, token: int) -> bool:
                return False

            def is_stopped(self) -> bool:
                return False

            def is_error(self) -> bool:
                return True

            def get_error(self) -> str:
                return "lost"

        def take(guide: Any, token: int) -> None:
            guide.matcher = Lost()

        monkeypatch.setattr(Guide, "take", take)
        lost, fine = await asyncio.gather(ask.run(guided), ask.run(free))
        assert isinstance(lost.error, BadRequest)
        assert lost.error.message == "The JSON Schema cannot be enforced: lost"
        assert lost.text == ""
        assert fine.text == "The capital of France is Paris."
        await ask.idle()
