"""Several runs read as one: choices counted through, one end, and one failure for all."""

from __future__ import annotations

import asyncio

import pytest

from schemas.completion import CompletionTokensDetails, PromptTokensDetails, Usage
from schemas.errors import EngineFailed
from worker.engine.run import Run
from worker.jobs import Done, Durations, Ended, Event, Failed, Job, Prepared, Sampling, Text
from worker.joined import joined


def run(*events: Event, choices: int = 1) -> Run:
    made = Run(Job("j", "chat", Prepared("m", [1], 8, Sampling(), choices=choices)))
    for event in events:
        made.events.put_nowait(event)
    return made


def done(prompt: int, answer: int, seconds: float) -> Done:
    usage = Usage(prompt, answer, prompt + answer, PromptTokensDetails(1), CompletionTokensDetails(2))
    return Done("stop" if prompt == 1 else "length", usage, Durations(seconds, 1.0, 2.0))


async def read(*runs: Run) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(5), joined(runs) as together:
        while not (found and isinstance(found[-1], Done | Failed)):
            event = await together.next()
            assert event is not None
            found.append(event)
    return found


async def test_one_is_itself() -> None:
    only = run()
    async with joined([only]) as together:
        assert together is only


async def test_choices_are_counted_through_and_all_have_one_end() -> None:
    first = run(Text("a", 1), Ended("stop", 0), done(1, 2, 0.5), choices=2)
    second = run(Text("b", 0), Ended("length", 0), done(10, 20, 0.25))
    *events, end = await read(first, second)
    assert sorted((event.choice, type(event).__name__) for event in events if isinstance(event, Text | Ended)) == [
        (0, "Ended"), (1, "Text"), (2, "Ended"), (2, "Text"),
    ]  # fmt: skip
    usage = Usage(11, 22, 33, PromptTokensDetails(2), CompletionTokensDetails(4))
    assert end == Done("stop", usage, Durations(0.5, 1.0, 2.0))


async def test_one_failure_is_everybodys() -> None:
    [event] = await read(run(), run(Failed(EngineFailed("No."))))
    assert isinstance(event, Failed)
    # Also where the others end well.
    end = await read(run(done(1, 1, 0)), run(Failed(EngineFailed("No."))))
    assert isinstance(end[-1], Failed)


async def test_whoever_stops_reading_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()

    async def leave() -> None:
        async with joined([run(), run()]):
            await asyncio.sleep(0)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await leave()
    assert asyncio.all_tasks() == before
