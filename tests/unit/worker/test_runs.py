"""What chats get without an inference, and what is kept of one: plain answers that came to their natural end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from schemas.articles import CachedAnswer
from schemas.completion import CompletionTokensDetails, PromptTokensDetails, TokenLogprob, Usage
from schemas.errors import EngineFailed
from worker.engine.catalog import Catalog, Entry
from worker.engine.engine import Engine
from worker.engine.run import Run
from worker.fingerprint import fingerprint
from worker.jobs import Call, Done, Durations, Ended, Event, Failed, Job, Prepared, Sampling, Text, Thought
from worker.transport.results import Results
from worker.transport.runs import Runs

WORK = Prepared("tiny", [1, 2, 3], 8, Sampling(temperature=0))
USAGE = Usage(3, 2, 5, PromptTokensDetails(1))
DONE = Done("stop", USAGE, Durations(1, 2, 3))
ANSWER: list[Event] = [Text("Pa"), Text("ris."), Ended("stop"), DONE]
THOUGHTFUL = Usage(3, 2, 5, PromptTokensDetails(1), CompletionTokensDetails(1))


@dataclass
class Scripted:
    """An engine that has its answers ready."""

    answer: list[Event]
    asked: int = 0
    catalog: Catalog = field(
        default_factory=lambda: Catalog([Entry("tiny", (), Path("tiny"), identity="weights")])
    )

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Run]:
        self.asked += 1
        run = Run(job)
        for event in self.answer:
            run.events.put_nowait(event)
        yield run


class Shelf:
    """Stands for the bucket."""

    def __init__(self) -> None:
        self.entries: dict[str, CachedAnswer] = {}

    async def get(self, key: str) -> CachedAnswer | None:
        return self.entries.get(key)

    async def put(self, key: str, text: str, usage: Usage) -> None:
        self.entries[key] = CachedAnswer(text, usage, datetime.now(UTC))


@pytest.fixture
def engine() -> Scripted:
    return Scripted(ANSWER)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def ask(engine: Scripted, shelf: Shelf | None, work: Prepared = WORK) -> list[Event]:
    """All events of a run by somebody who has just started."""
    runs = Runs(cast(Engine, engine), cast(Results | None, shelf))
    events: list[Event] = []
    async with runs.run(Job("job", "chat", work)) as run:
        while not (events and isinstance(events[-1], Done | Failed)):
            event = await run.next(5)
            assert event is not None, "it hangs"
            events.append(event)
    return events


async def test_a_plain_answer_is_kept_for_another_day(engine: Scripted, shelf: Shelf) -> None:
    assert await ask(engine, shelf) == ANSWER
    [entry] = shelf.entries.values()
    assert (entry.text, entry.usage) == ("Paris.", USAGE)
    *pieces, done = await ask(engine, shelf)
    assert pieces == [Text("Paris."), Ended("stop")]
    assert isinstance(done, Done) and done.durations == Durations(0, 0, 0)
    assert done.usage == Usage(3, 2, 5, PromptTokensDetails(3)), "its tokens, and none of the prompt computed"
    assert engine.asked == 1


async def test_nothing_is_kept_unless_it_is_wished_for(engine: Scripted) -> None:
    assert [await ask(engine, None) for _ in range(2)] == [ANSWER] * 2
    assert engine.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        [Text("Pa"), Ended("length"), Done("length", USAGE, DONE.durations)],
        [Thought("Well."), *ANSWER],
        [Text("Pa"), Ended("stop"), Done("stop", THOUGHTFUL, DONE.durations)],
        [Call("id", "f"), Ended("tool_calls"), Done("tool_calls", USAGE, DONE.durations)],
        [Call("id", "f"), *ANSWER],
        [Text("Pa"), Failed(EngineFailed("It failed."))],
    ],
    ids=["cut", "thought", "thought of nothing", "called", "called and said", "failed"],
)
async def test_an_answer_that_is_more_or_less_than_its_text_is_not_kept(
    engine: Scripted, shelf: Shelf, answer: list[Event]
) -> None:
    engine.answer = answer
    assert list(map(type, await ask(engine, shelf))) == list(map(type, answer))
    assert shelf.entries == {}


@pytest.mark.parametrize(
    "work",
    [
        replace(WORK, choices=2),
        replace(WORK, alternatives=0),
        replace(WORK, sampling=Sampling(temperature=1)),
    ],
    ids=["choices", "logprobs", "drawn"],
)
async def test_nor_is_one_of_a_request_that_the_bucket_has_no_room_for(
    engine: Scripted, shelf: Shelf, work: Prepared
) -> None:
    if work.choices == 2:
        engine.answer = [Text("b", 1), Ended("stop", 1), *ANSWER]
    if work.alternatives is not None:
        engine.answer = [Text("Paris.", logprobs=(TokenLogprob("Paris.", -0.1, [80], []),)), *ANSWER[2:]]
    for _ in range(2):
        assert await ask(engine, shelf, work) == engine.answer
    assert (engine.asked, shelf.entries) == (2, {})


async def test_an_articles_answer_is_a_chats_too_unless_it_was_thought_about(
    engine: Scripted, shelf: Shelf
) -> None:
    key = fingerprint(WORK, "weights")
    assert key is not None
    await shelf.put(key, "Rome.", THOUGHTFUL)
    assert await ask(engine, shelf) == ANSWER
    await shelf.put(key, "Rome.", USAGE)
    assert (await ask(engine, shelf))[0] == Text("Rome.")
    assert engine.asked == 1
