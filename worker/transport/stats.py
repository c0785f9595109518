"""What this worker has counted, as its service's statistics carry it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from schemas import figures
from schemas.figures import WorkerFigures
from worker.engine.counters import Counters, Histogram, Lookups
from worker.engine.shape import Shape

K = TypeVar("K", bound=str)


def told(counters: Counters, results: Lookups, shape: Shape) -> WorkerFigures:
    """`results` are the look-ups of answers that were kept."""
    ended: dict[str, dict[str, int]] = {}
    for (lane, outcome), jobs in counters.ended.copy().items():
        ended.setdefault(lane, {})[outcome] = jobs
    return WorkerFigures(
        prompt_tokens=counters.prompt_tokens,
        prefix_tokens=counters.prefix_tokens,
        decode_tokens=counters.decode_tokens,
        ended=ended,
        first_token=_histograms(counters.first_token),
        between_tokens=_histograms(counters.between_tokens),
        steps=_histograms(counters.by_step),
        rows=_histogram(counters.rows),
        lookups={"prefix": _lookups(counters.prefixes), "result": _lookups(results)},
        kv_bytes=counters.kv_bytes,
        kv_limit_bytes=shape.kv_bytes,
        prefix_bytes=counters.prefix_bytes,
        memory_limit_bytes=shape.memory_limit,
    )


def _histograms(counted: Mapping[K, Histogram]) -> dict[str, figures.Histogram]:
    return {name: _histogram(one) for name, one in counted.items()}


def _histogram(counted: Histogram) -> figures.Histogram:
    return figures.Histogram(list(counted.bounds), list(counted.counts), round(counted.sum, 6))


def _lookups(counted: Lookups) -> figures.Lookups:
    return figures.Lookups(counted.hits, counted.misses)
