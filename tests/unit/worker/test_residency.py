"""Which weights stay in memory: never more than the limit allows, never one that has work taken away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Unavailable
from worker.engine.residency import Residency

NOBODY: set[str] = set()


def filled(limit: int, idle: float = 0, **sizes: int) -> Residency:
    """Loaded in their order, one a second from second 0 on."""
    residency = Residency(limit, idle)
    for now, (name, size) in enumerate(sizes.items()):
        residency.loaded(name, size, now)
    return residency


def test_what_fits_needs_nobody_to_go() -> None:
    residency = filled(100, a=40)
    assert residency.room_for("b", 60, 0, NOBODY) == []
    assert residency.room_for("a", 40, 100, {"a"}) == []
    assert (residency.names, residency.bytes) == ({"a"}, 40)


def test_the_least_recently_used_goes_first_and_no_more_than_must() -> None:
    residency = filled(100, a=30, b=30, c=30)
    residency.touched("a", 9)
    assert residency.room_for("d", 20, 0, NOBODY) == ["b"]
    assert residency.room_for("d", 50, 0, NOBODY) == ["b", "c"]
    assert residency.room_for("d", 41, 0, NOBODY) == ["b", "c"]


def test_kv_state_counts() -> None:
    residency = filled(100, a=40)
    assert residency.room_for("b", 40, 20, NOBODY) == []
    assert residency.room_for("b", 40, 21, NOBODY) == ["a"]


def test_what_is_left_is_nobodys() -> None:
    residency = filled(100, a=30, b=20)
    assert (residency.left(40), residency.left(40, 10), residency.left(40, 11)) == (10, 0, 0)


def test_a_busy_model_is_waited_for() -> None:
    residency = filled(100, a=60, b=30)
    assert residency.room_for("c", 50, 0, {"a"}) is None
    assert residency.room_for("c", 40, 0, {"a"}) == ["b"]
    assert residency.room_for("c", 50, 0, {"c", "b"}) == ["a"]


@pytest.mark.parametrize(("size", "kv", "busy"), [(101, 0, {"a"}), (101, 0, NOBODY), (90, 11, NOBODY)])
def test_what_can_never_fit_is_refused(size: int, kv: int, busy: set[str]) -> None:
    residency = filled(100, a=10)
    with pytest.raises(Unavailable, match="memory_limit") as caught:
        residency.room_for("b", size, kv, busy)
    assert (caught.value.status, caught.value.code, caught.value.param) == (503, "model_too_large", "model")


def test_kv_state_of_busy_models_is_given_back_some_day() -> None:
    assert filled(100, a=10).room_for("b", 80, 30, {"a"}) is None


def test_idle_models_go_after_their_time() -> None:
    residency = filled(100, idle=10, a=1, b=1, c=1)
    residency.touched("b", 5)
    assert residency.idle(9, NOBODY) == []
    assert residency.idle(12, NOBODY) == ["a", "c"]
    assert residency.idle(15, {"a"}) == ["c", "b"]
    residency.unloaded("c")
    assert residency.idle(15, NOBODY) == ["a", "b"]


def test_zero_means_that_idle_models_stay() -> None:
    assert filled(100, idle=0, a=1).idle(10**9, NOBODY) == []


def test_a_model_that_is_gone_is_not_touched_into_being() -> None:
    residency = filled(100, a=1)
    residency.unloaded("a")
    residency.unloaded("a")
    residency.touched("a", 5)
    assert (residency.names, residency.bytes) == (frozenset(), 0)


SIZES = {name: 10 * weight for weight, name in enumerate("abcdef", 1)}
asked = st.tuples(
    st.sampled_from(sorted(SIZES)),
    st.integers(0, 60),
    st.sets(st.sampled_from(sorted(SIZES)), max_size=3),
)


@given(limit=st.integers(0, 200), requests=st.lists(asked, max_size=30))
def test_whatever_is_asked_the_limit_holds_and_nobody_loses_its_work(
    limit: int, requests: list[tuple[str, int, set[str]]]
) -> None:
    residency = Residency(limit, 0)
    used: dict[str, int] = {}
    for now, (name, kv, busy) in enumerate(requests):
        here = residency.names
        known = name in here
        try:
            going = residency.room_for(name, SIZES[name], kv, busy)
        except Unavailable:
            assert SIZES[name] > limit or (SIZES[name] + kv > limit and not here & busy)
            continue
        stuck = sum(SIZES[other] for other in here & busy)
        if going is None:
            assert stuck + SIZES[name] + kv > limit
            assert here & busy
            continue
        assert set(going) <= here - busy - {name}
        assert going == sorted(going, key=lambda other: used[other])
        for other in going:
            # each of them had to go: with it the limit would not have held
            assert known or residency.bytes + SIZES[name] + kv > limit
            residency.unloaded(other)
        if known:
            assert going == []
            residency.touched(name, now)
        else:
            residency.loaded(name, SIZES[name], now)
            assert residency.bytes + kv <= limit
        used[name] = now
        assert residency.bytes <= limit
