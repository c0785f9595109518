"""A taste of `tests/fidelity`, which measures at length: company changes no answer, and schemas are kept to."""

from __future__ import annotations

from pathlib import Path

from tests.fidelity import answering
from tests.fidelity.asking import engine_of
from tests.fidelity.measuring import measure
from tests.fidelity.prompts import PROMPTS
from tests.fidelity.reference import Reference


async def test_answers_in_company_are_the_answers_alone(folder: Path) -> None:
    prompts = PROMPTS[::15]
    async with engine_of(folder, 4) as ask:
        measured = await measure(ask, prompts, Reference(folder), max_tokens=8)
    assert measured.equal == len(prompts) == 8, measured
    assert not measured.strangers, measured
    assert measured.own >= 2, measured


async def test_finished_answers_validate(folder: Path) -> None:
    async with engine_of(folder, 16) as ask:
        verdict = await answering.judge(ask, answering.pairs(12))
    assert not verdict.faults, verdict
    assert not verdict.refused, verdict
    assert len(verdict.valid) >= 9, verdict
