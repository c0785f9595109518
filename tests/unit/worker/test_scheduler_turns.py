"""Nobody starves: what cannot run beside the others' share gets its turn, however much of the others there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queueing import job

from worker.jobs import ANY_COMPANY, Job, JobLane
from worker.scheduler import Fits, Scheduler

ROWS = 20
MEMORY = 100
LASTS = 5  # steps


def wide(jobs: Sequence[Job], _: Sequence[Job]) -> bool:
    """A chat of a model that needs all the memory."""
    return len(jobs) == 1 or not any(one.id == "asked" for one in jobs)


class House:
    """Steps of a worker whose jobs all last as long, with something new in each."""

    def __init__(self, arrive: Callable[[int], Iterator[Job]], fits: Fits | None = None) -> None:
        self.scheduler = Scheduler(16, 4, prompts=1, fits=fits or self.has_memory, bulk_rows=2)
        self.started: dict[str, int] = {}
        self.aside: dict[str, Job] = {}
        self.step = 0
        self._arrive = arrive

    @property
    def waiting(self) -> list[str]:
        return [one.id for lane in self.scheduler._waiting.values() for one in lane]

    def until(self, name: str, most: int) -> int:
        """The step in which it starts; fails after `most`."""
        for _ in range(most):
            if name in self.started:
                return self.started[name]
            self.advance()
        assert name in self.started, f"{name} did not start in {most} steps"
        return self.started[name]

    def advance(self) -> None:
        for one in self.scheduler.jobs:
            if self.step - self.started[one.id] >= LASTS:
                self.scheduler.discard(one.id)
        for one in self._arrive(self.step):
            self.scheduler.add(one)
        displaced = self.scheduler.displace()
        for one in displaced:
            self.aside[one.id] = one
            del self.started[one.id]
        admitted = list(self.scheduler.admit())
        assert not displaced or admitted[0].lane == "chat"
        for one in admitted:
            self.aside.pop(one.id, None)
            self.started[one.id] = self.step
        self.step += 1

    def has_memory(self, jobs: Sequence[Job], leaving: Sequence[Job]) -> bool:
        """For all of these, beside half of what each needs that was set aside and does not come back among them."""
        aside = [one for name, one in self.aside.items() if name not in {job.id for job in jobs}]
        aside += leaving
        needs = [one.work.max_tokens * one.work.choices for one in (*jobs, *jobs, *aside)]
        return sum(needs) <= 2 * MEMORY


def articles(at: int) -> Iterator[Job]:
    yield job(f"article-{at}")


def chats(at: int) -> Iterator[Job]:
    """More than there is room for."""
    for which in range(5):
        yield job(f"chat-{at}-{which}", "chat")


@pytest.mark.parametrize("choices", [19, 20])
def test_a_chat_of_all_rows_waits_only_for_the_articles_that_run(choices: int) -> None:
    house = House(articles)
    house.until("article-30", 60)
    house.scheduler.add(job("asked", "chat", choices=choices))
    house.until("asked", 2 * LASTS)
    house.until("article-40", 10 * LASTS)  # and they go on


def test_a_chat_that_needs_all_the_memory_does_too() -> None:
    house = House(articles, fits=wide)
    house.until("article-30", 60)
    house.scheduler.add(job("asked", "chat"))
    house.until("asked", 2 * LASTS)


def test_chats_of_all_rows_leave_articles_their_turn() -> None:
    house = House(lambda at: iter([job(f"wide-{at}", "chat", choices=ROWS), *articles(at)]))
    for name in ("article-0", "article-1", "wide-3", "article-3", "wide-5"):
        house.until(name, 10 * LASTS)


@pytest.mark.parametrize("work", [job("asked", company=1), job("asked", choices=3), job("asked", choices=20)])
def test_what_cannot_run_beside_chat_runs_for_all_that(work: Job) -> None:
    house = House(chats)
    house.until("chat-3-0", 20)
    house.scheduler.add(work)
    house.until("asked", 10 * LASTS)
    behind = house.step
    house.until(f"chat-{behind}-0", 1000)


def test_chat_waits_for_nobody_while_articles_have_their_share() -> None:
    numbers = count()
    house = House(
        lambda at: iter([job(f"chat-{next(numbers)}", "chat"), *articles(at), *articles(1000 + at)])
    )
    assert [house.until(f"chat-{at}", 1) for at in range(50)] == list(range(50))


@given(
    st.lists(st.tuples(st.sampled_from([1, 1, 2, 3, 18, 19, 20]), st.booleans()), min_size=1, max_size=5),
    st.lists(
        st.tuples(st.sampled_from([1, 1, 2, 3, 17, 20]), st.sampled_from([1, 4, ANY_COMPANY])), max_size=5
    ),
)
def test_whatever_comes_again_and_again_the_oldest_of_each_lane_starts(
    asked: list[tuple[int, bool]], queued: list[tuple[int, int]]
) -> None:
    numbers = count()

    def arrive(at: int) -> Iterator[Job]:
        """Never fewer than wait: a chat in each step, and an article where none is left."""
        choices, twice = asked[at % len(asked)]
        for _ in range(1 + twice):
            yield job(f"chat-{next(numbers)}", "chat", choices=choices)
        if queued:
            rows, company = queued[at % len(queued)]
            yield job(f"article-{next(numbers)}", company=company, choices=rows)

    house = House(arrive)
    for _ in range(3 * LASTS):
        house.advance()
    waiting = house.waiting
    for name in waiting:
        house.until(name, 2 * ROWS * LASTS * len(waiting))


def needing(one: Job, memory: int) -> Job:
    return dataclasses.replace(one, work=dataclasses.replace(one.work, max_tokens=memory))


def test_what_was_set_aside_goes_on_before_whoever_waits_for_its_memory() -> None:
    house = House(lambda at: iter([job(f"chat-{at}", "chat")]))
    for at in range(8):
        house.scheduler.add(needing(job(f"article-{at}"), 12))
    house.until("article-7", 20)
    house.scheduler.add(needing(job("asked", "chat"), 70))
    house.scheduler.add(needing(job("high", "high"), 95))
    for name in ("asked", "high", "chat-400"):
        house.until(name, 500)


def test_nobody_waits_for_one_that_could_not_even_run_alone() -> None:
    house = House(lambda at: iter([job(f"chat-{at}", "chat")]))
    house.scheduler.add(needing(job("never"), MEMORY + 1))
    assert house.until("chat-200", 300) == 200


kinds = st.tuples(
    st.sampled_from(["chat", "high", "norm"]),
    st.sampled_from([1, 5, 12, 50, 100]),
    st.sampled_from([1, 4, 20, 20]),
)


@given(st.lists(st.lists(kinds, max_size=3), max_size=40))
def test_whatever_memory_is_needed_all_are_served_in_the_end(
    arrivals: list[list[tuple[JobLane, int, int]]],
) -> None:
    def arrive(at: int) -> Iterator[Job]:
        for which, (lane, memory, company) in enumerate(arrivals[at] if at < len(arrivals) else []):
            yield needing(job(f"{at}-{which}", lane, ANY_COMPANY if lane == "chat" else company), memory)

    house = House(arrive)
    for _ in range(20 * len(arrivals) * LASTS + 1):
        house.advance()
    assert (house.scheduler.waiting, house.scheduler.running, house.aside) == (0, 0, {})
