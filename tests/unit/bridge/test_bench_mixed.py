"""Which chats `bench mixed` has while a queue runs, and what it makes of their times."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.bench import mixed, talk
from bridge.bench.mixed import Tried, Wanted
from bridge.bench.report import Report
from schemas.completion import PromptTokensDetails, Usage
from schemas.errors import EngineFailed
from schemas.runtime.bench import Rendered

RENDERED = Rendered("m", "/m", 16, 64, 256, 10, [2], 5, [], [])
USAGE = Usage(60, 8, 68, PromptTokensDetails(31))


class Chats(mixed._Chats):
    """Each chat takes as long as its number says; `pauses` are those before them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends_after: int | None = None) -> None:
        super().__init__(None, [])
        self.asked = 0
        self.pauses: list[float] = []
        self.queue: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._ends_after = ends_after

        async def wait(some: Any, timeout: float) -> None:
            self.pauses.append(timeout)

        monkeypatch.setattr(mixed, "asyncio", SimpleNamespace(wait=wait))

    async def first(self) -> float:
        self.asked += 1
        if self.asked == self._ends_after:
            self.queue.set_result(None)
        return float(self.asked)

    async def run(self, wanted: Wanted) -> tuple[list[float], list[float]]:
        return await self.until(self.queue, wanted, RENDERED.live)


async def test_a_conversation_begins_unexpected_and_goes_on_in_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    chats = Chats(monkeypatch)
    paced, unexpected = await chats.run(Wanted([], tries=5))
    assert (paced, unexpected) == ([2, 3, 5, 6, 8], [1, 4, 7])
    for at, pause in enumerate(chats.pauses):
        assert (pause > RENDERED.live) if at % 3 == 0 else (1 <= pause <= 3)


async def test_by_default_both_are_enough_for_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    paced, unexpected = await Chats(monkeypatch).run(Wanted([]))
    assert (len(paced), len(unexpected)) == (40, 20)


async def test_a_chat_that_outlives_the_queue_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    chats = Chats(monkeypatch, ends_after=4)
    assert await chats.run(Wanted([], tries=5)) == ([2, 3], [1])
    assert chats.asked == 4


async def test_a_queue_that_fails_is_no_end_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chats = Chats(monkeypatch)
    chats.queue.set_exception(EngineFailed("It broke."))
    with pytest.raises(EngineFailed, match="It broke"):
        await chats.run(Wanted([], tries=5))


def report(paced: list[float], unexpected: list[float]) -> Report:
    tried = Tried([0.1, 0.1, 0.1], paced, unexpected, USAGE)
    return mixed.report(Wanted([]), RENDERED, tried, [10.0], [9.5])


def test_each_kind_of_chat_has_a_figure_of_its_own() -> None:
    found = report([0.2] * 40, [0.2] * 18 + [0.4] * 2)
    assert found.figure("first token, in pace: p95 ÷ idle p95").value == pytest.approx(2)
    assert found.figure("first token, in pace: p95 ÷ idle p95").met
    assert found.figure("first token, unexpected: p95 ÷ idle p95").value == pytest.approx(4)
    assert found.figure("first token, unexpected: p95 ÷ idle p95").met is False
    assert {one.name: len(one.values) for one in found.series[:3]} == {
        "first token, idle": 3,
        "first token, in pace": 40,
        "first token, unexpected": 20,
    }
    assert found.notes[0] == "the chat's prompt has 60 tokens, of which the one before left 31 ready"
    assert not any("only" in note for note in found.notes)


def test_too_few_chats_are_told_and_none_have_no_figure() -> None:
    found = report([0.2], [])
    assert [note.split(" while")[0] for note in found.notes if "only" in note] == [
        "only 1 chats in pace",
        "only 0 chats unexpected",
    ]
    assert not any("unexpected" in figure.name for figure in found.figures)


def test_questions_begin_alike_only_in_what_the_template_says() -> None:
    first, second = talk.question(7), talk.question(8)
    assert first[:5] != second[:5]
    assert len(first) == len(second)
