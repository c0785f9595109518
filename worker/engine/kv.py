"""The KV state of rows: mlx_lm's caches, a layer each, which this alone takes apart and puts together."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from mlx_lm.models.cache import CacheList, can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

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
    """The same state without its last tokens; only for one that is trimmable, or for none."""
    if tokens:
        trim_prompt_cache(state, tokens)
    return state


def nbytes(state: KvState) -> int:
    return sum(layer.nbytes for layer in state)


def merged(states: Sequence[KvState]) -> KvState:
    """One state of as many rows; each is copied."""
    return [layers[0].merge(list(layers)) for layers in zip(*states, strict=True)]


def extracted(state: KvState, row: int) -> KvState:
    """One row's own state, as long as the row is."""
    return [layer.extract(row) for layer in state]


def extended(state: KvState, joining: KvState) -> KvState:
    """`state` with the rows of `joining` behind its own."""
    for layer, more in zip(state, joining, strict=True):
        layer.extend(more)
    return state
