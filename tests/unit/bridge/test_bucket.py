"""The budget that refills: whatever is taken when, in the long run nobody gets more than the limit."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.http.bucket import Bucket

LIMITS = st.integers(1, 10**6)
MOMENTS = st.floats(0, 1e8)  # a machine that is up for three years
# Pauses in seconds, each with what is taken after it.
TAKINGS = st.lists(st.tuples(st.floats(0, 600), st.integers(0, 10_000)), max_size=50)


def test_a_full_one_gives_its_limit_at_once_and_then_one_after_another() -> None:
    bucket = Bucket(60)
    for left in range(60, 0, -1):
        assert (bucket.left(100.0), bucket.wait(100.0)) == (left, 0.0)
        bucket.take(1, 100.0)
    assert (bucket.left(100.0), bucket.wait(100.0), bucket.refill(100.0)) == (0, 1.0, 60.0)
    assert (bucket.left(101.0), bucket.left(102.5), bucket.left(1000.0)) == (1, 2, 60)


def test_a_debt_is_waited_out() -> None:
    bucket = Bucket(60)
    bucket.take(90, 0.0)
    assert (bucket.left(0.0), bucket.wait(0.0), bucket.refill(0.0)) == (0, 31.0, 90.0)
    assert (bucket.left(30.9), bucket.left(31.0)) == (0, 1)


def test_what_is_given_back_is_there_again_and_never_more_than_full() -> None:
    bucket = Bucket(60)
    bucket.take(30, 0.0)
    bucket.take(-10, 0.0)
    assert bucket.left(0.0) == 40
    bucket.take(-1000, 0.0)
    assert bucket.left(0.0) == 60


@given(LIMITS, MOMENTS, st.integers(0, 10**8))
@example(7, 1e8, 7)
def test_after_the_wait_there_is_one_and_after_the_refill_all(limit: int, now: float, taken: int) -> None:
    bucket = Bucket(limit)
    bucket.take(taken, now)
    assert bucket.left(now + bucket.wait(now)) >= 1
    assert bucket.left(now + bucket.refill(now)) == limit


@given(LIMITS, MOMENTS, TAKINGS)
def test_who_takes_only_what_is_left_stays_within_the_limit(
    limit: int, now: float, takings: list[tuple[float, int]]
) -> None:
    bucket, start, total = Bucket(limit), now, 0
    for pause, wish in takings:
        now += pause
        amount = min(wish, bucket.left(now))
        bucket.take(amount, now)
        total += amount
        assert 0 <= bucket.left(now) <= limit
        assert total <= limit + (now - start) * limit / 60 + 1


@given(LIMITS, MOMENTS, TAKINGS)
def test_time_gives_and_taking_takes(limit: int, now: float, takings: list[tuple[float, int]]) -> None:
    bucket = Bucket(limit)
    for pause, amount in takings:
        before = bucket.left(now)
        now += pause
        assert bucket.left(now) >= before
        before = bucket.left(now)
        bucket.take(amount, now)
        assert bucket.left(now) <= before
