"""Runs prompts through a batch in mixed company and counts what is not as it is alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fidelity.asking import Answer, Asker
from tests.fidelity.company import Guest, invite
from tests.fidelity.prompts import MARKERS, Prompt
from tests.fidelity.reference import Alone, Reference
from worker.jobs import Prepared

# Two sums of float32 in another order differ by about 1e-5 of the logits, which are some tens: closer is a tie.
TIE = 1e-3


@dataclass
class Measured:
    """How a set of prompts fared. `own` answers hold their prompt's marker: so would a stranger's be seen."""

    prompts: int
    equal: int = 0
    own: int = 0
    ties: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.equal} of {self.prompts} equal, {len(self.ties)} ties, {len(self.unexplained)} unexplained; "
            f"{self.own} answers hold their own marker, {len(self.strangers)} another's"
        ]
        return "\n  ".join(lines + self.ties + self.unexplained + self.strangers)


async def measure(
    ask: Asker, prompts: Sequence[Prompt], reference: Reference, max_tokens: int = 16
) -> Measured:
    """Every third request is one of the company's; all wait for the same slots."""
    works = await _prepare(ask, prompts, max_tokens)
    # First, because reference and engine would only take each other's processor.
    expected = [reference.alone(work.prompt, max_tokens) for work in works]
    guests = [await invite(ask, at) for at in range(len(prompts) // 2)]
    answers, others = await _run(ask, works, guests)
    measured = Measured(len(prompts))
    for prompt, alone, answer in zip(prompts, expected, answers, strict=True):
        _compare(measured, reference, prompt, alone, answer)
        measured.own += _holds(answer, prompt.marker)
        _search(measured, prompt.marker, answer)
    for one, other in zip(guests, others, strict=True):
        if other is not None:
            _search(measured, one.marker, other)
    return measured


async def _run(
    ask: Asker, works: Sequence[Prepared], guests: Sequence[Guest]
) -> tuple[list[Answer], list[Answer | None]]:
    mine: list[asyncio.Task[Answer]] = []
    theirs: list[asyncio.Task[Answer | None]] = []
    async with asyncio.TaskGroup() as group:
        for at, work in enumerate(works):
            mine.append(group.create_task(ask.run(work)))
            if at % 2:
                theirs.append(group.create_task(guests[at // 2].visit(ask)))
    return [task.result() for task in mine], [task.result() for task in theirs]


async def _prepare(ask: Asker, prompts: Sequence[Prompt], max_tokens: int) -> list[Prepared]:
    """Prompts with one system message share the state of its tokens, as the articles of a recipe do."""
    fields: dict[str, Any] = {"temperature": 0, "max_tokens": max_tokens}
    shared = [await ask.prepare(prompt.messages, **fields) for prompt in prompts if prompt.system]
    head = _common([work.prompt for work in shared])
    return [await ask.prepare(prompt.messages, head if prompt.system else (), **fields) for prompt in prompts]


def _common(prompts: list[list[int]]) -> list[int]:
    head = []
    for tokens in zip(*prompts, strict=False):
        if len(set(tokens)) > 1:
            break
        head.append(tokens[0])
    return head


def _compare(measured: Measured, reference: Reference, prompt: Prompt, alone: Alone, answer: Answer) -> None:
    if (answer.text, answer.done.usage.completion_tokens) == (alone.text, len(alone.tokens)):
        measured.equal += 1
        return
    at = reference.first_difference(alone, answer.text)
    lead = alone.leads[min(at, len(alone.leads) - 1)]
    line = f"{prompt.name}: token {at}, the two best {lead:.2g} apart: {answer.text!r}, alone {alone.text!r}"
    (measured.ties if lead < TIE else measured.unexplained).append(line)


def _search(measured: Measured, mine: str, answer: Answer) -> None:
    measured.strangers += [
        f"{marker} in the answer of {mine}: {answer.texts}"
        for marker in MARKERS
        if marker != mine and _holds(answer, marker)
    ]


def _holds(answer: Answer, marker: str) -> bool:
    return any(marker.lower() in text.lower() for text in answer.texts)
