"""What a row costs in bytes of KV state, learnt from the caches that the model itself makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from worker.engine import kv
from worker.jobs import Job

# mlx_lm's caches are up to so many tokens longer than what is in them.
_SPARE = 256


@dataclass(frozen=True, slots=True)
class _Layer:
    """`fixed` bytes, and so many `per_token`, of `window` tokens at most."""

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
    state = kv.fresh(weights)
    mx.eval(weights(mx.array([[0]]), cache=state))
    leaves = list(kv.leaves(state))
    for cache in leaves:
        if not hasattr(cache, "merge"):
            raise ValueError(f"its {type(cache).__name__} cannot be batched")
    return KvCost([_layer(cache) for cache in leaves])


def _layer(cache: Any) -> _Layer:
    keys = getattr(cache, "keys", None)
    if keys is None:  # recurrent: its size does not grow
        return _Layer(cache.nbytes, 0, None)
    return _Layer(0, cache.nbytes // keys.shape[2], getattr(cache, "max_size", None))
