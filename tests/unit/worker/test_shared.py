"""Equal runs at once are one: each reader has all of it, and whatever becomes of one of them hurts no other."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.completion import TokenLogprob, Usage
from schemas.errors import Cancelled, Unavailable
from worker.engine.run import Run
from worker.jobs import (
    Arguments,
    Call,
    Done,
    Durations,
    Ended,
    Event,
    Failed,
    Job,
    Prepared,
    Sampling,
    Text,
    Thought,
)
from worker.shared import Emit, SharedRuns
from worker.transport.assembly import Assembly

JOB = Job("job", "chat", Prepared("tiny", [1], 8, Sampling(temperature=0)))
DONE = Done("stop", Usage(1, 2, 3), Durations(0, 0, 0))
ANSWER = [Text("a"), Text("b"), Ended("stop"), DONE]


class Work:
    """Each time it is begun there is one more of `begun`, which emits what the test says, until its error."""

    def __init__(self) -> None:
        self.begun: list[Emit] = []
        self.cancelled = 0
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, emit: Emit) -> None:
        self.begun.append(emit)
        try:
            await asyncio.shield(self.end)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Readers:
    """Those who asked for one key, and their ways out."""

    def __init__(self, shared: SharedRuns, work: Work) -> None:
        self._shared = shared
        self._work = work
        self._inside: dict[int, AsyncExitStack] = {}

    async def join(self, key: str = "key") -> Run:
        stack = AsyncExitStack()
        run = await stack.enter_async_context(self._shared.run(key, JOB, self._work))
        self._inside[id(run)] = stack
        await settled()
        return run

    async def leave(self, *runs: Run) -> None:
        for run in runs:
            await self._inside.pop(id(run)).aclose()
        await settled()


async def settled() -> None:
    """Until each task has done all it can: none of them waits for anything but its test."""
    for _ in range(10):
        await asyncio.sleep(0)


async def read(run: Run) -> list[Event]:
    """What is there for it now."""
    return [run.events.get_nowait() for _ in range(run.events.qsize())]


@pytest.fixture
async def work() -> Work:
    return Work()


@pytest.fixture
def shared() -> SharedRuns:
    return SharedRuns()


@pytest.fixture
def readers(shared: SharedRuns, work: Work) -> Readers:
    return Readers(shared, work)


async def test_many_read_one_run(readers: Readers, work: Work) -> None:
    runs = [await readers.join() for _ in range(5)]
    [emit] = work.begun
    for event in ANSWER:
        emit(event)
    assert [await read(run) for run in runs] == [ANSWER] * 5


async def test_another_key_is_another_run(readers: Readers, work: Work) -> None:
    one, other = await readers.join("one"), await readers.join("other")
    for emit, text in zip(work.begun, "ab", strict=True):
        emit(Text(text))
    assert (await read(one), await read(other)) == ([Text("a")], [Text("b")])


async def test_who_comes_in_the_middle_has_the_beginning_at_once_and_then_the_rest(
    readers: Readers, work: Work
) -> None:
    first = await readers.join()
    work.begun[0](ANSWER[0])
    later = await readers.join()
    assert await read(later) == ANSWER[:1]
    for event in ANSWER[1:]:
        work.begun[0](event)
        assert await read(later) == [event]
    assert await read(first) == ANSWER
    assert len(work.begun) == 1


async def test_what_a_latecomer_missed_comes_in_few_pieces(readers: Readers, work: Work) -> None:
    await readers.join()
    for _ in range(10_000):
        work.begun[0](Text("word "))
    missed = await read(await readers.join())
    assert "".join(event.text for event in missed if isinstance(event, Text)) == "word " * 10_000
    assert len(missed) < 20


texts = st.text(max_size=3)
choices = st.integers(0, 1)
pieces = st.one_of(
    st.builds(Text, texts, choices),
    st.builds(Text, texts, choices, st.just((TokenLogprob("a", -0.1, [97], []),))),
    st.builds(Thought, texts, choices),
    st.builds(Arguments, texts, choices, choices),
)


@given(before=st.lists(pieces), after=st.lists(pieces))
async def test_whenever_one_comes_the_answer_is_the_same(
    before: list[Text | Thought | Arguments], after: list[Text | Thought | Arguments]
) -> None:
    work = Work()
    readers = Readers(SharedRuns(), work)
    calls = [Call(f"c{choice}{index}", "f", index, choice) for choice in (0, 1) for index in (0, 1)]
    runs = [await readers.join()]
    for part in ([*calls, *before], [*after, Ended("stop", 0), Ended("stop", 1)]):
        for event in part:
            work.begun[0](event)
        runs.append(await readers.join())
    assert len({answer(await read(run)) for run in runs}) == 1
    await readers.leave(*runs)


def answer(events: list[Event]) -> str:
    """As its reader sees it, but for the ids of its calls."""
    assembly = Assembly(2, logprobs=True)
    for event in events:
        assert not isinstance(event, Done | Failed)
        assembly.add(event)
    return re.sub("id='call_[^']*'", "id", repr(assembly.choices()))


async def test_each_reader_has_calls_of_its_own(readers: Readers, work: Work) -> None:
    runs = [await readers.join(), await readers.join()]
    work.begun[0](Call("call_0", "f"))
    runs.append(await readers.join())
    calls = [await read(run) for run in runs]
    assert len({call.id for [call] in calls if isinstance(call, Call) and call.name == "f"}) == 3


async def test_who_leaves_disturbs_nobody_be_it_who_came_first(readers: Readers, work: Work) -> None:
    first, second, third = [await readers.join() for _ in range(3)]
    await readers.leave(first, third)
    for event in ANSWER:
        work.begun[0](event)
    assert await read(second) == ANSWER
    assert (await read(first), work.cancelled, len(work.begun)) == ([], 0, 1)


async def test_when_the_last_one_leaves_it_is_cancelled_and_the_next_begins_anew(
    readers: Readers, work: Work
) -> None:
    first, second = await readers.join(), await readers.join()
    work.begun[0](Text("old"))
    await readers.leave(first)
    assert work.cancelled == 0
    leaving = asyncio.create_task(readers.leave(second))
    await asyncio.sleep(0)  # it has left, and its work does not know yet
    third = await readers.join()
    await leaving
    assert (work.cancelled, len(work.begun)) == (1, 2)
    assert await read(third) == []
    fourth = await readers.join()  # the end of the first run has not taken the second one away
    work.begun[1](Text("new"))
    assert await read(third) == await read(fourth) == [Text("new")]
    assert len(work.begun) == 2


async def test_who_leaves_before_it_began_leaves_nothing(shared: SharedRuns, work: Work) -> None:
    async with shared.run("key", JOB, work):
        pass
    await settled()
    assert work.begun == [] and not shared._under_way


async def test_an_end_from_outside_is_of_one_reader_alone(readers: Readers, work: Work) -> None:
    one, other = await readers.join(), await readers.join()
    one.fail(Cancelled("Enough."))
    work.begun[0](Text("a"))
    assert isinstance((await read(one))[0], Failed)
    assert await read(other) == [Text("a")]


@pytest.mark.parametrize(
    ("raised", "said"), [(Unavailable("Later."), "Later."), (ValueError("secret"), "its log says why")]
)
async def test_a_failure_is_everybodys_and_the_next_one_begins_anew(
    readers: Readers, work: Work, raised: Exception, said: str
) -> None:
    runs = [await readers.join(), await readers.join()]
    work.end.set_exception(raised)
    await settled()
    for run in runs:
        [event] = await read(run)
        assert isinstance(event, Failed) and said in event.error.message
        assert "secret" not in event.error.message
    work.end = asyncio.get_running_loop().create_future()
    assert await read(await readers.join()) == []
    assert len(work.begun) == 2


async def test_a_failure_among_the_events_is_everybodys_too(readers: Readers, work: Work) -> None:
    runs = [await readers.join(), await readers.join()]
    failed = Failed(Unavailable("Later."))
    work.begun[0](failed)
    assert [await read(run) for run in runs] == [[failed]] * 2


async def test_what_work_does_after_its_end_is_done_though_all_have_left(
    shared: SharedRuns, readers: Readers, work: Work
) -> None:
    """An answer is kept then; who comes in the meantime has it."""
    first = await readers.join()
    for event in ANSWER:
        work.begun[0](event)
    await readers.leave(first)
    assert await read(await readers.join()) == [Text("ab"), *ANSWER[2:]]
    work.end.set_result(None)
    await settled()
    assert (work.cancelled, len(work.begun)) == (0, 1)
    assert not shared._under_way


async def test_a_reader_waits_no_longer_than_its_patience(readers: Readers, work: Work) -> None:
    run = await readers.join()
    assert await run.next(0.001) is None
    work.begun[0](Text("a"))
    assert await run.next(0.001) == Text("a")
