"""Who runs next: each rule in a line, and all of them together against random histories."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from queueing import job, names

from worker.jobs import ANY_COMPANY, LANES, Job, JobLane
from worker.scheduler import Scheduler


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(slots=3, chat_slots=2)


def test_nothing_waits(scheduler: Scheduler) -> None:
    assert names(scheduler.admit()) == ""
    assert (scheduler.running, scheduler.waiting) == (0, 0)


def test_chat_before_high_before_norm(scheduler: Scheduler) -> None:
    for name in ("n1", "h1", "c1", "n2", "h2", "c2"):
        scheduler.add(job(name, {"n": "norm", "h": "high", "c": "chat"}[name[0]]))  # type: ignore[arg-type]
    assert names(scheduler.admit()) == "c1 c2 h1"
    assert (scheduler.running, scheduler.waiting) == (3, 3)
    scheduler.discard("c1")
    assert names(scheduler.admit()) == "h2"
    scheduler.discard("c2")
    scheduler.discard("h1")
    assert names(scheduler.admit()) == "n1 n2"


def test_a_lane_is_served_in_its_order(scheduler: Scheduler) -> None:
    for name in "abcde":
        scheduler.add(job(name))
    assert names(scheduler.admit()) == "a b c"
    scheduler.discard("b")
    assert names(scheduler.admit()) == "d"


def test_articles_leave_rows_for_chat(scheduler: Scheduler) -> None:
    for name in "abcde":
        scheduler.add(job(name))
    assert names(scheduler.admit()) == "a b c"
    for name in "xyz":
        scheduler.add(job(name, "chat"))
    assert names(scheduler.admit()) == "x y"
    assert (scheduler.running, scheduler.waiting) == (5, 3)


def test_chat_may_take_every_row(scheduler: Scheduler) -> None:
    for name in "abcdef":
        scheduler.add(job(name, "chat"))
    scheduler.add(job("n"))
    assert names(scheduler.admit()) == "a b c d e"


def test_chat_goes_first_to_a_row_that_is_free(scheduler: Scheduler) -> None:
    for name in "abcd":
        scheduler.add(job(name))
    list(scheduler.admit())
    for name in "xyz":
        scheduler.add(job(name, "chat"))
    list(scheduler.admit())
    scheduler.discard("a")
    assert names(scheduler.admit()) == "z"


def test_what_runs_is_not_admitted_again(scheduler: Scheduler) -> None:
    scheduler.add(job("a"))
    assert names(scheduler.admit()) == "a"
    assert names(scheduler.admit()) == ""


class TestPrompts:
    """One that is let in cannot be overtaken any more, so that only few are."""

    def test_bulk_prompts_are_let_in_as_they_are_computed(self) -> None:
        scheduler = Scheduler(slots=4, chat_slots=2, prompts=2)
        for name in "abcd":
            scheduler.add(job(name))
        assert names(scheduler.admit(prompting=0)) == "a b"
        assert names(scheduler.admit(prompting=2)) == ""
        assert names(scheduler.admit(prompting=1)) == "c"

    def test_chat_joins_at_once(self) -> None:
        scheduler = Scheduler(slots=5, chat_slots=2, prompts=1)
        for name in "ab":
            scheduler.add(job(name))
        assert names(scheduler.admit(prompting=0)) == "a"
        for name in "xyz":
            scheduler.add(job(name, "chat"))
        assert names(scheduler.admit(prompting=1)) == "x y z"
        assert names(scheduler.admit(prompting=0)) == "b"


class TestDiscard:
    def test_one_that_waits(self, scheduler: Scheduler) -> None:
        for name in "ab":
            scheduler.add(job(name))
        scheduler.discard("a")
        assert scheduler.waiting == 1
        assert names(scheduler.admit()) == "b"

    def test_one_that_runs(self, scheduler: Scheduler) -> None:
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.discard("a")
        assert (scheduler.running, scheduler.waiting) == (0, 0)

    def test_one_that_is_gone(self, scheduler: Scheduler) -> None:
        scheduler.add(job("a"))
        scheduler.discard("b")
        scheduler.discard("b")
        assert (scheduler.running, scheduler.waiting) == (0, 1)


class TestCompany:
    def test_alone_it_waits_for_an_empty_batch(self, scheduler: Scheduler) -> None:
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.add(job("alone", company=1))
        assert names(scheduler.admit()) == ""
        scheduler.discard("a")
        assert names(scheduler.admit()) == "alone"

    def test_alone_it_holds_back_later_bulk_work(self, scheduler: Scheduler) -> None:
        scheduler.add(job("a"))
        list(scheduler.admit())
        scheduler.add(job("alone", "high", company=1))
        for lane in LANES[1:]:
            scheduler.add(job(f"later-{lane}", lane))
        assert names(scheduler.admit()) == ""
        scheduler.discard("a")
        assert names(scheduler.admit()) == "alone"
        assert names(scheduler.admit()) == ""
        scheduler.discard("alone")
        assert names(scheduler.admit()) == "later-high later-norm"

    def test_nobody_joins_one_that_runs_alone(self, scheduler: Scheduler) -> None:
        scheduler.add(job("alone", company=1))
        list(scheduler.admit())
        for lane in LANES:
            scheduler.add(job(lane, lane))
        assert names(scheduler.admit()) == ""

    def test_chat_goes_ahead_of_one_that_waits_to_be_alone(self, scheduler: Scheduler) -> None:
        scheduler.add(job("alone", company=1))
        scheduler.add(job("chat", "chat"))
        assert names(scheduler.admit()) == "chat"
        scheduler.discard("chat")
        assert names(scheduler.admit()) == "alone"

    def test_high_goes_ahead_of_a_norm_that_waits_to_be_alone(self, scheduler: Scheduler) -> None:
        scheduler.add(job("alone", company=1))
        scheduler.add(job("high", "high"))
        assert names(scheduler.admit()) == "high"

    def test_small_company_is_four_rows_with_itself(self) -> None:
        scheduler = Scheduler(slots=16, chat_slots=4)
        scheduler.add(job("suspect", company=4))
        for name in "abcdef":
            scheduler.add(job(name))
        assert names(scheduler.admit()) == "suspect a b c"
        scheduler.add(job("chat", "chat"))
        assert names(scheduler.admit()) == ""
        scheduler.discard("a")
        assert names(scheduler.admit()) == "chat"
        scheduler.discard("suspect")
        assert names(scheduler.admit()) == "d e f"

    def test_small_company_waits_until_there_are_few_enough(self) -> None:
        scheduler = Scheduler(slots=16, chat_slots=4)
        for name in "abcde":
            scheduler.add(job(name))
        list(scheduler.admit())
        scheduler.add(job("suspect", company=4))
        scheduler.add(job("later"))
        for name in "ab":
            assert names(scheduler.admit()) == ""
            scheduler.discard(name)
        assert names(scheduler.admit()) == "suspect"
        assert names(scheduler.admit()) == ""


class History(RuleBasedStateMachine):
    """Random arrivals, ends and cancellations, with a plain model of what must hold beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(slots=4, chat_slots=2)
        self.waiting: dict[str, Job] = {}
        self.running: dict[str, Job] = {}
        self.count = 0

    @rule(lane=st.sampled_from(LANES), company=st.sampled_from([1, 2, 4, ANY_COMPANY, ANY_COMPANY]))
    def arrive(self, lane: JobLane, company: int) -> None:
        self.count += 1
        new = job(f"j{self.count}", lane, company)
        self.waiting[new.id] = new
        self.scheduler.add(new)

    @rule()
    def step(self) -> None:
        for admitted in self.scheduler.admit():
            assert self.waiting.pop(admitted.id) is admitted, "admitted twice, or never added"
            earlier = [other.id for other in self.waiting.values() if self.is_before(other, admitted)]
            assert not earlier, f"{admitted.id} overtook {earlier} of its lane"
            self.running[admitted.id] = admitted
            if admitted.lane != "chat":
                assert len(self.running) <= 4
            assert len(self.running) <= min(6, *(row.company for row in self.running.values()), 6)

    def is_before(self, other: Job, job: Job) -> bool:
        return other.lane == job.lane and int(other.id[1:]) < int(job.id[1:])

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[name]
        self.scheduler.discard(name)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[name]
        self.scheduler.discard(name)

    @rule()
    def cancel_one_that_is_gone(self) -> None:
        self.scheduler.discard("gone")

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.scheduler.running == len(self.running)
        assert self.scheduler.waiting == len(self.waiting)

    def teardown(self) -> None:
        """Whatever happened: once rows end, all that waits is served."""
        for _ in range(len(self.waiting)):
            for name in list(self.running):
                self.scheduler.discard(name)
            self.running.clear()
            before = len(self.waiting)
            self.step()
            assert len(self.waiting) < before or not before, "nobody is admitted to an empty batch"
        assert not self.waiting


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
