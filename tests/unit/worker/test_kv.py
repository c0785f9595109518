"""Rows that leave a batch, with mlx_lm's own caches: neither they nor those that stay keep the others in memory."""

from __future__ import annotations

import pytest
from holding import PAGES, held

from worker.engine import kv

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache  # isort: skip


class TestLeaving:
    """A row that leaves its batch takes nothing of the others along."""

    @pytest.mark.parametrize("nested", [False, True])
    def test_a_recurrent_state(self, nested: bool) -> None:
        before = held()
        wide = ArraysCache(2)
        wide[0], wide[1] = mx.ones((16, 64, 1024)), mx.ones((16, 3, 1024))
        batch: kv.KvState = [CacheList(wide) if nested else wide]
        mx.eval(kv.arrays(batch))
        row = kv.extracted(batch, 3)
        mx.eval(kv.arrays(row))
        del batch, wide
        assert kv.nbytes(row) == 67 * 1024 * 4
        assert held() - before <= kv.nbytes(row) + PAGES

    def test_keys_of_a_single_head(self) -> None:
        before = held()
        one = KVCache()
        one.update_and_fetch(mx.ones((1, 1, 256, 64)), mx.ones((1, 1, 256, 64)))
        batch = kv.merged([[one]] * 16)
        mx.eval(kv.arrays(batch))
        row = kv.extracted(batch, 3)
        mx.eval(kv.arrays(row))
        del batch, one
        assert kv.nbytes(row) == 2 * 256 * 64 * 4
        assert held() - before <= kv.nbytes(row) + PAGES


class TestStaying:
    def batch(self, *widths: int) -> kv.KvState:
        state = kv.merged([[filled(width)] for width in widths])
        mx.eval(kv.arrays(state))
        return state

    def test_those_that_stay_give_back_the_width_of_one_that_left(self) -> None:
        before = held()
        state = kv.filtered(self.batch(6000, 100, 80), [1, 2])
        mx.eval(kv.arrays(state))
        assert held() - before <= kv.nbytes(state) + PAGES
        assert kv.nbytes(state) == 2 * kv.nbytes([filled(100)])

    def test_they_go_on_as_they_were(self) -> None:
        state = kv.filtered(self.batch(600, 100, 80), [2, 1])
        for row, width in ((0, 80), (1, 100)):
            [alone] = kv.extracted(state, row)
            assert alone.offset == width
            for some, expected in zip(alone.state[:2], filled(width).state[:2], strict=True):
                assert mx.array_equal(some, expected)


def filled(width: int) -> KVCache:
    """Of so many tokens, and no longer."""
    cache = KVCache()
    numbers = mx.arange(2 * width * 8, dtype=mx.float32).reshape(1, 2, width, 8)
    cache.update_and_fetch(numbers, -numbers)
    cache.keys, cache.values = map(mx.contiguous, cache.keys_and_values())
    return cache
