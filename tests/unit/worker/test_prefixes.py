"""What is kept for prompts that begin alike, with mlx_lm's own caches, small: as long as it says, within its budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from holding import held
from hypothesis import given
from hypothesis import strategies as st

from worker.engine import kv
from worker.engine.prefill import Prompt
from worker.engine.prefix import Prefixes
from worker.jobs import Prepared, Sampling

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)
from mlx_lm.models.cache import CacheList, KVCache, RotatingKVCache  # isort: skip

HEADS, SIZE = 2, 8
TOKEN = 2 * HEADS * SIZE * 4  # bytes of keys and values
SHARED = list(range(20))


class Net:
    """What the states below are of: each token's keys and values are its own number."""

    def __init__(self, *caches: type[Any]) -> None:
        self._caches = caches or (KVCache,)

    def make_cache(self) -> kv.KvState:
        return [RotatingKVCache(10_000) if one is RotatingKVCache else one() for one in self._caches]

    def __call__(self, tokens: mx.array, cache: kv.KvState) -> mx.array:
        row = tokens.astype(mx.float32)[:, None, :, None]
        for layer in kv.leaves(cache):
            layer.update_and_fetch(
                mx.repeat(row, HEADS, 1) * mx.ones(SIZE), mx.repeat(row, HEADS, 1) * mx.ones(SIZE)
            )
        return mx.zeros((1, tokens.shape[1], 4))


class Pair(CacheList):
    def __init__(self) -> None:
        super().__init__(KVCache(), KVCache())


class Recurrent(KVCache):
    """Of no use but as a whole."""

    def is_trimmable(self) -> bool:
        return False


def state(tokens: Iterable[int], *caches: type[Any]) -> kv.KvState:
    """As a row has it that was taken out of a batch: not a token longer than it is."""
    net = Net(*caches)
    made = kv.fresh(net)
    net(mx.array([list(tokens)]), made)
    for cache in kv.leaves(made):
        cache.keys, cache.values = map(mx.contiguous, cache.keys_and_values())
    mx.eval(kv.arrays(made))
    return made


def known(
    *some: Sequence[int], budget: int = 10**9, cache: type[Any] = KVCache, pinned: bool = False
) -> Prefixes:
    prefixes = Prefixes(budget)
    for tokens in some:
        prefixes.keep("m", tokens, state(tokens, cache), pinned)
    return prefixes


def has(prefixes: Prefixes, tokens: Sequence[int], model: str = "m") -> bool:
    """The whole of it, without a look that would count as a use."""
    return (model, tuple(tokens)) in prefixes._known


class TestLongest:
    def test_the_longest_beginning_is_found(self) -> None:
        prefixes = known(range(100), range(50, 150))
        found, some = prefixes.longest("m", [*range(60), 7, 7])
        assert some is not None
        assert (found, some[0].offset) == (60, 60)
        assert prefixes.longest("m", range(200, 300)) == (0, None)

    def test_one_token_is_left_to_compute(self) -> None:
        found, some = known(range(100)).longest("m", range(100))
        assert some is not None
        assert (found, some[0].offset) == (99, 99)

    def test_less_than_a_few_tokens_are_not_worth_it(self) -> None:
        assert known(range(100)).longest("m", [*range(15), 7]) == (0, None)

    def test_what_cannot_be_trimmed_is_found_whole_or_not_at_all(self) -> None:
        prefixes = known(range(100), cache=Recurrent)
        assert prefixes.longest("m", [*range(60), 7]) == (0, None)
        assert prefixes.longest("m", range(100)) == (0, None)
        assert prefixes.longest("m", range(101))[0] == 100

    def test_another_model_knows_nothing_of_it(self) -> None:
        prefixes = known(range(100))
        assert prefixes.longest("n", range(101)) == (0, None)
        prefixes.keep("n", range(100), state(range(100)))
        prefixes.forget("m")
        assert prefixes.longest("m", range(101)) == (0, None)
        assert prefixes.longest("n", range(101))[0] == 100

    def test_what_is_kept_is_never_changed(self) -> None:
        prefixes = known(range(100))
        for _ in range(2):
            _, some = prefixes.longest("m", [*range(60), 7])
            assert some is not None
            Net()(mx.array([[7, 7, 7]]), some)
            keys = some[0].keys_and_values()[0][0, 0, :, 0].tolist()
            assert keys == [*range(60), 7, 7, 7]


class TestCut:
    """What is taken of a longer state is as long as it says."""

    @pytest.mark.parametrize("cache", [KVCache, RotatingKVCache, Pair])
    def test_a_beginning_costs_what_it_is(self, cache: type[Any]) -> None:
        prefixes = known(range(6000), cache=cache)
        before = held()
        found, some = prefixes.longest("m", [*SHARED, 7])
        assert found == len(SHARED)
        assert some is not None
        assert kv.nbytes(some) == len(SHARED) * TOKEN * len(list(kv.leaves(some)))
        # One token more, and what it stands on is its own: the long one may go.
        Net(cache)(mx.array([[7]]), some)
        mx.eval(kv.arrays(some))
        assert held() - before <= 2 * 512 * TOKEN
        prefixes.forget("m")
        assert held() < before

    @pytest.mark.parametrize("cache", [KVCache, RotatingKVCache, Pair])
    @pytest.mark.parametrize("more", [1, 5])
    def test_it_goes_on_as_if_it_had_never_been_longer(self, cache: type[Any], more: int) -> None:
        _, cut = known(range(600), cache=cache).longest("m", [*range(300), 7])
        assert cut is not None
        new = state(range(300), cache)
        for one in (cut, new):
            for start in range(0, 300, more):
                Net(cache)(mx.array([list(range(start, start + more))]), one)
        for mine, other in zip(kv.leaves(cut), kv.leaves(new), strict=True):
            for some, expected in zip(mine.keys_and_values(), other.keys_and_values(), strict=True):
                assert mx.array_equal(some, expected)

    def test_what_is_taken_whole_is_not_copied_for_it(self) -> None:
        prefixes = known(range(6000))
        before = held()
        found, some = prefixes.longest("m", range(6001))
        assert found == 6000
        mx.eval(kv.arrays(some or []))
        assert held() - before < TOKEN

    def test_a_prompt_that_was_known_is_not_kept_again(self) -> None:
        """Its state is still a piece of the longer one, and would keep all of that in memory."""
        prefixes = known(range(6000))
        before = held()
        prompt = Prompt(Prepared("m", [*SHARED, 7], 1, Sampling(), pinned=False), Net(), prefixes)
        assert prompt.compute(100) == 0
        prompt.remember()
        assert not has(prefixes, SHARED)
        kept = prompt.end()[0]
        mx.eval(kv.arrays(kept))
        prefixes.forget("m")
        del prompt
        assert held() < before - 5000 * TOKEN

    def test_a_prompt_of_which_more_was_computed_is(self) -> None:
        prefixes = known(range(6000))
        prompt = Prompt(Prepared("m", [*SHARED, 7, 8, 9], 1, Sampling()), Net(), prefixes)
        assert prompt.compute(100) == 2
        prompt.remember()
        assert has(prefixes, [*SHARED, 7, 8])
        assert prefixes.nbytes <= 6512 * TOKEN


class TestUse:
    """Which one serves where several could, and what that means for its age."""

    def test_of_those_that_know_as_much_the_shortest_serves(self) -> None:
        prefixes = known(
            [*SHARED, *range(500, 900)], [*SHARED, *range(100, 120)], [*SHARED, *range(900, 990)]
        )
        before = held()
        found, some = prefixes.longest("m", [*SHARED, 7])
        assert found == len(SHARED)
        prefixes.forget("m")
        assert some is not None
        assert before - held() >= (420 + 110) * TOKEN  # of the others nothing is left

    def test_a_dead_conversation_does_not_live_on_what_all_begin_with(self) -> None:
        dead, other = [*SHARED, *range(100, 200)], range(300, 400)
        prefixes = known(dead, other, budget=250 * TOKEN)
        for chat in (7, 8, 9):
            assert prefixes.longest("m", [*SHARED, chat])[0] == len(SHARED)
        prefixes.keep("m", range(600, 700), state(range(600, 700)))
        assert not has(prefixes, dead)
        assert has(prefixes, other)

    def test_a_conversation_that_goes_on_is_used(self) -> None:
        prefixes = known(range(100), range(200, 300), budget=250 * TOKEN)
        assert prefixes.longest("m", range(101))[0] == 100
        prefixes.keep("m", range(400, 500), state(range(400, 500)))
        assert has(prefixes, range(100))
        assert not has(prefixes, range(200, 300))

    def test_what_is_kept_again_is_used(self) -> None:
        prefixes = known(range(100), range(200, 300), range(100), budget=250 * TOKEN, cache=Recurrent)
        prefixes.keep("m", range(400, 500), state(range(400, 500)))
        assert has(prefixes, range(100))

    def test_a_later_turn_takes_the_place_of_the_earlier(self) -> None:
        assert known(range(100), range(150)).nbytes == 150 * TOKEN
        assert known(range(100), range(150), cache=Recurrent).nbytes == 250 * TOKEN


class TestBudget:
    def test_what_is_larger_than_it_is_not_kept_and_nobody_goes_for_it(self) -> None:
        prefixes = known(range(100), range(200, 300), budget=250 * TOKEN)
        prefixes.keep("m", range(1000, 1300), state(range(1000, 1300)))
        assert prefixes.nbytes == 200 * TOKEN
        assert known(range(300), budget=250 * TOKEN).nbytes == 0

    @pytest.mark.parametrize("pinned", [False, True])
    def test_nothing_is_nothing(self, pinned: bool) -> None:
        assert known(range(100), budget=0, pinned=pinned).nbytes == 0

    def test_another_budget_holds_at_once(self) -> None:
        prefixes = known(range(100), range(200, 300))
        prefixes.bound(150 * TOKEN)
        assert has(prefixes, range(200, 300))
        assert prefixes.nbytes == 100 * TOKEN
        prefixes.bound(0)
        assert prefixes.nbytes == 0

    def test_a_pinned_one_goes_last(self) -> None:
        prefixes = known(range(100), budget=250 * TOKEN, pinned=True)
        for start in (200, 400, 600):
            prefixes.keep("m", range(start, start + 100), state(range(start, start + 100)))
        assert has(prefixes, range(100))
        assert prefixes.nbytes == 200 * TOKEN

    def test_pinned_ones_leave_half_of_it_to_others(self) -> None:
        """A recipe that is edited again and again: the heads of old go, the one in force stays."""
        prefixes = Prefixes(250 * TOKEN)
        for start in range(0, 1000, 50):
            prefixes.keep("m", range(start, start + 50), state(range(start, start + 50)), pinned=True)
            prefixes.longest("m", range(51))
        prefixes.keep("m", range(2000, 2125), state(range(2000, 2125)))
        assert has(prefixes, range(2000, 2125))
        assert has(prefixes, range(950, 1000))
        assert has(prefixes, range(50))  # the one that is used
        assert prefixes.nbytes == 225 * TOKEN

    def test_a_head_of_more_than_that_is_kept_as_others_are(self) -> None:
        prefixes = known(range(50), range(1000, 1200), budget=250 * TOKEN, pinned=True)
        assert has(prefixes, range(1000, 1200))
        prefixes.keep("m", range(300, 400), state(range(300, 400)))
        assert has(prefixes, range(50))
        assert not has(prefixes, range(1000, 1200))

    @given(
        budget=st.integers(0, 300),
        kept=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 200), st.booleans()), max_size=30),
    )
    def test_whatever_is_kept_it_is_a_bound(self, budget: int, kept: list[tuple[int, int, bool]]) -> None:
        prefixes = Prefixes(budget)
        for first, length, pinned in kept:
            prefixes.keep("m", [first] * length, [Sized(length)], pinned)
            assert prefixes.nbytes <= budget
            assert sum(one.nbytes for one in prefixes._known.values() if one.pinned) <= budget // 2
            if length <= budget // 2:
                assert has(prefixes, [first] * length)


class Sized(KVCache):
    """Only says how large it is."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    @property
    def nbytes(self) -> int:
        return self._size
