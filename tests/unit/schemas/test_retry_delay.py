"""How long a job that failed for now waits: `min(300, 15 * 2^n)`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.streams import MAX_DELIVER, retry_delay


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 300), (7, 300), (8, 300)]
)
def test_it_doubles_up_to_five_minutes(attempts: int, seconds: float) -> None:
    assert retry_delay(attempts) == seconds


def test_all_deliveries_together_outlive_a_short_absence() -> None:
    assert sum(map(retry_delay, range(1, MAX_DELIVER))) > 15 * 60


@given(st.integers(1, 100_000))
def test_it_stays_in_its_bounds(attempts: int) -> None:
    """A consumer whose limit was raised by hand delivers more often than ours does."""
    assert 15 <= retry_delay(attempts) <= 300
    assert retry_delay(attempts) <= retry_delay(attempts + 1)
