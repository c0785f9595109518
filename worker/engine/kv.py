"""What a row's KV state costs in bytes, learnt from the caches that the model itself makes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import CacheList, can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

from worker.jobs import Job

KvState = list[Any]

# mlx_lm's caches are up to so many tokens longer than what is in them.
_SPARE = 256


def fresh(weights: Any) -> KvState:
    """The state before the first token."""
    state: KvState = make_prompt_cache(weights)
    return state


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


@dataclass(frozen=True, slots=True)
class _Layer:
    """`window` is the most tokens that the layer keeps."""

    fixed: int
    per_token: int
    window: int | None


class KvCost:
    """Bytes of a row by its width in tokens. An upper bound: rows of a batch are as wide as the widest."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self._layers = layers

    def __call__(self, rows: int, width: int) -> int:
        return rows * self.alone(width + _SPARE)

    def alone(self, width: int) -> int:
        """Of a row outside of a batch, as long as it is."""
        return sum(
            layer.fixed + layer.per_token * min(width, layer.window or width) for layer in self._layers
        )


def shape_of(jobs: Sequence[Job]) -> tuple[int, int]:
    """Rows and width of a batch of these jobs."""
    return sum(job.work.choices for job in jobs), max(job.work.width for job in jobs)


def measure(weights: Any) -> KvCost:
    """Run one token through the model and look at what it left behind.

    Raises ValueError for a model whose caches cannot be batched.
    """
    state = fresh(weights)
    mx.eval(weights(mx.array([[0]]), cache=state))
    leaves = list(_leaves(state))
    for cache in leaves:
        if not hasattr(cache, "merge"):
            raise ValueError(f"its {type(cache).__name__} cannot be batched")
    return KvCost([_layer(cache) for cache in leaves])


def _leaves(caches: Sequence[Any]) -> Iterator[Any]:
    for cache in caches:
        if isinstance(cache, CacheList):
            yield from _leaves(cache.caches)
        else:
            yield cache


def _layer(cache: Any) -> _Layer:
    keys = getattr(cache, "keys", None)
    if keys is None:  # recurrent: its size does not grow
        return _Layer(cache.nbytes, 0, None)
    return _Layer(0, cache.nbytes // keys.shape[2], getattr(cache, "max_size", None))


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
