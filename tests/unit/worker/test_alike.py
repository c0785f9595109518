"""What prompts begin with alike."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from worker.alike import Recent

_Prompts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=20)


def heads(*prompts: list[int], model: str = "m") -> list[int]:
    recent = Recent()
    return [recent.head(model, prompt) for prompt in prompts]


def test_what_a_neighbour_begins_with() -> None:
    assert heads([1, 2, 3, 4], [1, 2, 9], [1, 5, 5]) == [0, 2, 1]


def test_two_system_prompts_in_turn() -> None:
    assert heads([1, 1, 7], [2, 2, 7], [1, 1, 8], [2, 2, 8]) == [0, 0, 2, 2]


def test_one_token_is_left_to_compute() -> None:
    assert heads([1, 2, 3], [1, 2, 3], [1, 2]) == [0, 2, 1]


def test_another_model_is_another_state() -> None:
    recent = Recent()
    recent.head("one", [1, 2, 3])
    assert recent.head("other", [1, 2, 3]) == 0


@given(_Prompts)
def test_it_is_the_longest_of_the_last_ones(prompts: list[list[int]]) -> None:
    for at, found in enumerate(heads(*prompts)):
        before = prompts[max(0, at - 8) : at]
        best = max((_common(prompts[at], other) for other in before), default=0)
        assert found == min(best, len(prompts[at]) - 1)


def _common(one: list[int], other: list[int]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
