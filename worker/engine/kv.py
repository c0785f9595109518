"""The KV state of rows: mlx_lm's caches, a layer each, which this alone takes apart and puts together."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import (
    ArraysCache,
    CacheList,
    can_trim_prompt_cache,
    make_prompt_cache,
    trim_prompt_cache,
)

KvState = list[Any]


def fresh(weights: Any) -> KvState:
    """The state before the first token."""
    state: KvState = make_prompt_cache(weights)
    return state


def leaves(state: Sequence[Any]) -> Iterator[Any]:
    """The caches of all layers; some layers have several."""
    for cache in state:
        if isinstance(cache, CacheList):
            yield from leaves(cache.caches)
        else:
            yield cache


def copied(state: KvState) -> KvState:
    """A state that may be written to: the original stays as it is."""
    return copy.deepcopy(state)


def arrays(state: KvState) -> list[Any]:
    return [layer.state for layer in state]


def trimmable(state: KvState) -> bool:
    return bool(can_trim_prompt_cache(state))


def trimmed(state: KvState, tokens: int) -> KvState:
    """The same state without its last tokens, and as long as it is; only for one that is trimmable, or for none."""
    if tokens:
        trim_prompt_cache(state, tokens)
        for cache in leaves(state):
            # To trim moves an end. What is behind it would be copied with the next token, and kept.
            cache.keys, cache.values = cache.keys_and_values()
    return state


def nbytes(state: KvState) -> int:
    return sum(layer.nbytes for layer in state)


def merged(states: Sequence[KvState]) -> KvState:
    """One state of as many rows; each is copied."""
    return [layers[0].merge(list(layers)) for layers in zip(*states, strict=True)]


def extracted(state: KvState, row: int) -> KvState:
    """One row's own state, as long as the row is."""
    found = [layer.extract(row) for layer in state]
    for cache in leaves(found):
        if isinstance(cache, ArraysCache):
            # mlx_lm leaves slices here, which keep the whole batch in memory; this copies what shares a larger buffer.
            cache.cache = [array if array is None else mx.contiguous(array) for array in cache.cache]
    return found


def filtered(state: KvState, rows: list[int]) -> KvState:
    """`state` with these rows alone, in their order."""
    which = mx.array(rows)
    for cache in leaves(state):
        width = _width(cache)
        cache.filter(which)
        if 2 * _width(cache) < width:
            # The widest row has left, and mlx_lm's cache is a slice of one as wide as that was until it grows. Where it
            # hides less than it shows, that is not worth a copy.
            cache.keys, cache.values = mx.contiguous(cache.keys), mx.contiguous(cache.values)
    return state


def extended(state: KvState, joining: KvState) -> KvState:
    """`state` with the rows of `joining` behind its own."""
    for layer, more in zip(state, joining, strict=True):
        layer.extend(more)
    return state


def _width(cache: Any) -> int:
    """Tokens that there is memory for; a recurrent state has none."""
    keys = getattr(cache, "keys", None)
    return 0 if keys is None else int(keys.shape[2])
