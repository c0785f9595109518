"""What is counted, without an engine."""

from __future__ import annotations

import msgspec
import pytest

from schemas.codec import decode, encode
from schemas.figures import Histogram, WorkerFigures
from worker.engine import counters
from worker.engine.counters import Counters


def test_a_value_is_counted_at_the_first_bound_that_holds_it() -> None:
    found = counters.Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.1):
        found.add(value)
    found.add(9.0, times=3)
    assert (found.counts, found.count, found.sum) == ([2, 1, 4], 7, pytest.approx(32.1))


def test_a_gap_between_tokens_is_each_rows() -> None:
    found = Counters()
    found.decoded(["chat", "norm", "norm"], None)
    found.decoded(["norm", "norm"], 0.03)
    assert found.rows.sum == 5
    assert (found.between_tokens["chat"].count, found.between_tokens["norm"].count) == (0, 2)


def test_steps_are_all_kinds() -> None:
    found = Counters()
    found.stepped("decode", 0.5)
    found.stepped("prefill", 0.25)
    assert (found.steps, found.busy_seconds) == (2, 0.75)


def test_only_what_was_answered_is_a_job() -> None:
    found = Counters()
    found.ended["chat", "stop"] += 2
    found.ended["norm", "cancelled"] += 1
    assert found.jobs == 2


def test_a_copy_stays_as_it_is() -> None:
    found = Counters()
    before = found.copy()
    found.stepped("decode", 0.5)
    assert (before.steps, found.steps) == (0, 1)


def test_a_newer_worker_may_say_more_and_an_older_one_less() -> None:
    assert decode(WorkerFigures, b'{"prompt_tokens":3,"of_the_future":{}}').prompt_tokens == 3
    assert decode(WorkerFigures, b"{}") == WorkerFigures()


def test_a_histogram_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="one count more"):
        msgspec.json.decode(encode(Histogram([1.0], [1, 2], 3.0)).replace(b"[1,2]", b"[1]"), type=Histogram)
