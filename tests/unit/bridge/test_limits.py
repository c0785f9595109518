"""What a key may do: so many at a time, so many a minute; a clock in the test's hand."""

from __future__ import annotations

import pytest

from bridge import keys
from bridge.http.limits import Meter, Meters, span
from bridge.keys import Key, Scope
from schemas.errors import Overloaded


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_key(**limits: int | None) -> Key:
    return keys.make("nas", [Scope.CHAT], **limits)[1]


def refusal(meter: Meter) -> Overloaded:
    with pytest.raises(Overloaded) as caught, meter.visit():
        pass
    assert caught.value.code == "rate_limit_exceeded"
    return caught.value


def test_requests_a_minute(clock: Clock) -> None:
    meter = Meter(a_key(rpm=2), clock)
    assert meter.headers()["x-ratelimit-remaining-requests"] == "2"
    for _ in range(2):
        with meter.visit():
            pass
    assert refusal(meter).retry_after == 30
    assert meter.headers() == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    clock.now += 29
    assert refusal(meter).retry_after == 1
    clock.now += 1
    with meter.visit():
        pass


def test_tokens_are_paid_when_they_are_known(clock: Clock) -> None:
    meter = Meter(a_key(tpm=600), clock)
    with meter.visit() as visit:
        visit.pay(50)  # a guess
        assert meter.headers()["x-ratelimit-remaining-tokens"] == "550"
        visit.pay(700)
    assert refusal(meter).retry_after == 11
    assert "tokens" in refusal(meter).message
    clock.now += 11
    with meter.visit() as visit:
        visit.pay(9)
        visit.pay(0)  # it was refused by the worker, and cost nothing
    assert meter.headers()["x-ratelimit-reset-tokens"] == "59s"


def test_a_refusal_uses_up_nothing(clock: Clock) -> None:
    meter = Meter(a_key(rpm=10, tpm=10, concurrent=1), clock)
    with meter.visit() as visit:
        refusal(meter)
        visit.pay(100)
    refusal(meter)
    assert meter.headers()["x-ratelimit-remaining-requests"] == "9"


def test_so_many_at_a_time_also_after_one_failed(clock: Clock) -> None:
    meter = Meter(a_key(concurrent=2), clock)
    with meter.visit(), meter.visit():
        assert "2 requests at a time" in refusal(meter).message
    with pytest.raises(ValueError, match="boom"), meter.visit():
        raise ValueError("boom")
    with meter.visit(), meter.visit():
        pass
    assert meter.headers() == {}


def test_without_limits_nothing_is_refused(clock: Clock) -> None:
    meter = Meter(a_key(), clock)
    for _ in range(100):
        with meter.visit() as visit:
            visit.pay(10**9)


def test_a_key_keeps_its_meter_until_it_is_changed_or_gone(clock: Clock) -> None:
    one, other = a_key(rpm=1), a_key(rpm=2)
    known = [one]
    meters = Meters(lambda: known, clock)
    first = meters.of(one)
    assert meters.of(one) is first
    known[:] = [other]
    assert meters.of(other) is not first
    assert meters.of(one) is not first  # forgotten with its key: nothing piles up


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0ms"),
        (0.1201, "121ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),
        (3725, "62m5s"),
    ],
)
def test_spans_are_written_as_openai_does(seconds: float, said: str) -> None:
    assert span(seconds) == said
