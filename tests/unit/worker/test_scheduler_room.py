"""What a job needs beside its place in the queue: rows, memory, and what chat and articles leave each other."""

from collections.abc import Sequence

import pytest
from queueing import job, names

from worker.jobs import Job
from worker.scheduler import Scheduler


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(slots=3, chat_slots=2)


class TestChoices:
    """Each takes a row."""

    def test_a_job_waits_until_all_its_choices_have_rows(self, scheduler: Scheduler) -> None:
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.add(job("three", choices=3))
        scheduler.add(job("b"))
        assert names(scheduler.admit()) == ""
        scheduler.discard("a")
        assert names(scheduler.admit()) == "three"

    def test_chat_that_waits_for_rows_is_passed_by_nobody(self, scheduler: Scheduler) -> None:
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.add(job("five", "chat", choices=5))
        scheduler.add(job("b"))
        assert names(scheduler.admit()) == ""
        scheduler.discard("a")
        assert names(scheduler.admit()) == "five"

    def test_one_that_has_to_be_alone_may_have_several(self, scheduler: Scheduler) -> None:
        scheduler.add(job("alone", company=1, choices=3))
        scheduler.add(job("b"))
        assert names(scheduler.admit()) == "alone"
        assert names(scheduler.admit()) == ""


class TestFits:
    """What the machine cannot hold now waits its turn."""

    @staticmethod
    def two_at_most(jobs: Sequence[Job], _: Sequence[Job]) -> bool:
        return len(jobs) <= 2

    def test_what_does_not_fit_waits_and_keeps_its_place(self) -> None:
        scheduler = Scheduler(slots=4, chat_slots=2, fits=self.two_at_most)
        for name in "abc":
            scheduler.add(job(name))
        assert names(scheduler.admit()) == "a b"
        scheduler.add(job("chat", "chat"))
        scheduler.discard("a")
        assert names(scheduler.admit()) == "chat"
        scheduler.discard("b")
        assert names(scheduler.admit()) == "c"

    def test_one_that_could_not_start_is_the_next_again(self) -> None:
        scheduler = Scheduler(slots=1, chat_slots=1)
        for name in "ab":
            scheduler.add(job(name))
        [first] = scheduler.admit()
        scheduler.defer(first)
        assert (scheduler.running, scheduler.waiting) == (0, 2)
        assert names(scheduler.admit()) == "a"


class TestDisplace:
    """Chat that finds no room takes the youngest articles' rows; they go on later."""

    @pytest.fixture
    def full(self) -> Scheduler:
        """Three articles run, and two chats in their own rows."""
        scheduler = Scheduler(slots=3, chat_slots=2, bulk_rows=1)
        for name in "abc":
            scheduler.add(job(name))
        assert names(scheduler.admit()) == "a b c"
        for name in "xy":
            scheduler.add(job(name, "chat"))
        assert scheduler.displace() == []
        assert names(scheduler.admit()) == "x y"
        return scheduler

    def test_the_youngest_makes_way_and_comes_back_first(self, full: Scheduler) -> None:
        full.add(job("z", "chat"))
        full.add(job("d"))
        assert names(iter(full.displace())) == "c"
        assert names(full.admit()) == "z"
        full.discard("x")
        assert names(full.admit()) == ""
        for name in "yz":
            full.discard(name)
        assert names(full.admit()) == "c"
        full.discard("c")
        assert names(full.admit()) == "d"

    def test_several_keep_their_order(self, full: Scheduler) -> None:
        full.add(job("z", "chat", choices=2))
        assert names(iter(full.displace())) == "c b"
        assert names(full.admit()) == "z"
        for name in "xyz":
            full.discard(name)
        assert names(full.admit()) == "b c"

    def test_the_urgent_ones_stay(self) -> None:
        scheduler = Scheduler(slots=2, chat_slots=1)
        for name, lane in (("a", "norm"), ("urgent", "high"), ("x", "chat")):
            scheduler.add(job(name, lane))
            list(scheduler.admit())
        scheduler.add(job("y", "chat"))
        assert names(iter(scheduler.displace())) == "a"

    def test_the_share_of_articles_is_left_to_them(self, full: Scheduler) -> None:
        full.add(job("z", "chat", choices=3))
        assert full.displace() == []
        assert names(full.admit()) == ""

    def test_nobody_is_displaced_in_vain(self) -> None:
        scheduler = Scheduler(
            slots=3, chat_slots=2, fits=lambda jobs, _: all(one.id != "big" for one in jobs)
        )
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.add(job("big", "chat"))
        assert scheduler.displace() == []

    def test_what_was_displaced_goes_on_while_chat_waits_for_something_else(self, full: Scheduler) -> None:
        """Such as a model that can only be loaded once the displaced work has ended."""
        full.add(job("z", "chat"))
        full.displace()
        assert names(full.admit()) == "z"
        full.add(job("wide", "chat", choices=5))
        full.add(job("d"))
        for name in "xyz":
            full.discard(name)
        assert full.displace() == []
        assert names(full.admit()) == "c"

    def test_it_needs_no_room_among_the_prompts(self) -> None:
        scheduler = Scheduler(slots=2, chat_slots=0, prompts=1)
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.add(job("b"))
        list(scheduler.admit())
        scheduler.add(job("x", "chat"))
        scheduler.displace()
        list(scheduler.admit())
        scheduler.discard("x")
        assert names(scheduler.admit(prompting=1)) == "b"


class TestShare:
    """However much chat there is, articles get on."""

    def test_chat_leaves_rows_to_articles_that_wait(self) -> None:
        scheduler = Scheduler(slots=3, chat_slots=2, bulk_rows=1)
        scheduler.add(job("a"))
        for name in "uvwxyz":
            scheduler.add(job(name, "chat"))
        assert names(scheduler.admit()) == "u v w x a"

    def test_without_articles_chat_has_all(self) -> None:
        scheduler = Scheduler(slots=3, chat_slots=2, bulk_rows=1)
        for name in "uvwxyz":
            scheduler.add(job(name, "chat"))
        assert names(scheduler.admit()) == "u v w x y"

    def test_a_share_of_nothing_starves_them(self) -> None:
        scheduler = Scheduler(slots=3, chat_slots=2, bulk_rows=0)
        scheduler.add(job("a"))
        for name in "uvwxyz":
            scheduler.add(job(name, "chat"))
        assert names(scheduler.admit()) == "u v w x y"
