"""`GET /metrics`: the house in Prometheus' words. Nothing is counted here, so that every bridge tells the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from bridge.client.overview import Overview
from bridge.client.queue import QueueState
from bridge.http.context import OBSERVER
from schemas.errors import Unavailable
from schemas.figures import Histogram, WorkerFigures
from schemas.presence import Presence

_PREFIX = "nats_mlx_"
Samples = Iterable[tuple[tuple[str, ...], float]]


async def index(request: web.Request) -> web.Response:
    """Also while NATS is away: `nats_mlx_up` says so."""
    try:
        found = families(await request.app[OBSERVER].look())
    except Unavailable:
        found = [_gauge("up", _UP, [((), 0.0)])]
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(found))
    return web.Response(body=encode(registry), headers={"Content-Type": kind})


class _Found(Collector):
    """What was gathered before: prometheus_client asks without await."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found


def families(house: Overview) -> list[Metric]:
    """Every metric there is, with its values."""
    return [_gauge("up", _UP, [((), 1.0)]), *_queue(house.queue), *_workers(house.workers), *_counted(house)]


_UP = "Whether NATS and its queue answered this bridge."


def _queue(queue: QueueState) -> Iterator[Metric]:
    lanes = queue.lanes
    yield _gauge(
        "queue_waiting",
        "Articles that no worker has yet.",
        (((one.lane,), one.waiting) for one in lanes),
        "lane",
    )
    yield _gauge(
        "queue_in_flight",
        "Articles that a worker has, or will be given again.",
        (((one.lane,), one.in_flight) for one in lanes),
        "lane",
    )
    yield _gauge(
        "queue_oldest_seconds",
        "Age of the oldest article that is not done.",
        (((one.lane,), one.oldest_seconds or 0.0) for one in lanes),
        "lane",
    )
    yield _gauge(
        "batch_lines_waiting", "Lines of batches that no worker has yet.", [((), queue.lines.waiting)]
    )
    yield _gauge(
        "batch_lines_in_flight",
        "Lines of batches that a worker has, or will be given again.",
        [((), queue.lines.in_flight)],
    )
    if queue.eta_seconds is not None:
        yield _gauge(
            "queue_eta_seconds", "Until the queue is empty, at its pace of late.", [((), queue.eta_seconds)]
        )
    yield _counter("analyses", "Analyses ever stored, replaced ones included.", [((), queue.ever_done)])
    yield _counter("dead", "Dead letters ever stored.", [((), queue.ever_dead)])
    yield _gauge(
        "dead_letters",
        "Dead letters that are there now.",
        (((reason,), count) for reason, count in queue.dead_by_reason.items()),
        "reason",
    )


def _workers(workers: list[Presence]) -> Iterator[Metric]:
    """What each says in its presence."""
    yield _gauge("workers", "Workers that are there.", [((), len(workers))])
    yield _gauge(
        "worker_info",
        "Which worker it is; always 1.",
        (((one.worker, one.host, one.version), 1) for one in workers),
        *("worker", "host", "version"),
    )
    gauges: dict[str, tuple[str, str]] = {
        "started_at": ("worker_start_time_seconds", "When it started, in seconds since 1970."),
        "slots": ("worker_slots", "Articles that it computes together."),
        "running": ("jobs_running", "Chats and articles that are computed now."),
        "waiting": ("jobs_waiting", "Chats and articles that wait for a row."),
        "memory_bytes": ("memory_bytes", "Bytes that MLX holds: weights, KV state, buffers, freed ones too."),
    }
    for field, (name, text) in gauges.items():
        yield _gauge(name, text, (((one.worker,), _number(one, field)) for one in workers), "worker")


def _number(one: Presence, field: str) -> float:
    return one.started_at.timestamp() if field == "started_at" else getattr(one, field)


def _counted(house: Overview) -> Iterator[Metric]:
    """What each has counted since its start."""
    figures = house.figures
    tokens = {
        "prompt_tokens": "Tokens of prompts that were computed.",
        "prefix_tokens": "Tokens of prompts that were known before.",
        "decode_tokens": "Tokens of answers.",
    }
    for field, text in tokens.items():
        yield _counter(
            field, text, (((name,), getattr(one, field)) for name, one in figures.items()), "worker"
        )
    sizes = {
        "kv_bytes": "Bytes of KV state of what is computed.",
        "kv_limit_bytes": "Bytes of KV state that it may have.",
        "prefix_bytes": "Bytes of KV state kept for what prompts share.",
        "memory_limit_bytes": "Bytes of weights, KV state and kept prefixes that it may have.",
    }
    for field, text in sizes.items():
        yield _gauge(field, text, (((name,), getattr(one, field)) for name, one in figures.items()), "worker")
    yield _counter(
        "jobs",
        "Inferences that ended, by how: of chats, articles and lines. What was shared or remembered is none.",
        (
            ((name, lane, outcome), count)
            for name, one in figures.items()
            for lane, outcomes in one.ended.items()
            for outcome, count in outcomes.items()
        ),
        *("worker", "lane", "outcome"),
    )
    yield _counter("cache_lookups", "Look-ups by cache, hits and misses.", _lookups(figures), *_LOOKUP)
    yield from _histograms(figures)


_LOOKUP = ("worker", "cache", "outcome")


def _lookups(figures: dict[str, WorkerFigures]) -> Samples:
    for name, one in figures.items():
        for cache, found in one.lookups.items():
            yield (name, cache, "hit"), found.hits
            yield (name, cache, "miss"), found.misses


def _histograms(figures: dict[str, WorkerFigures]) -> Iterator[Metric]:
    by_label = {
        "first_token": ("time_to_first_token_seconds", "From a job's arrival to its first token.", "lane"),
        "between_tokens": ("time_between_tokens_seconds", "Between two tokens of an answer.", "lane"),
        "steps": ("step_seconds", "Time of one step of the engine.", "kind"),
    }
    for field, (name, text, label) in by_label.items():
        family = HistogramMetricFamily(_PREFIX + name, text, labels=("worker", label))
        for worker, one in figures.items():
            for value, histogram in getattr(one, field).items():
                _fill(family, (worker, value), histogram)
        yield family
    rows = HistogramMetricFamily(_PREFIX + "batch_rows", "Rows of a decode step.", labels=("worker",))
    for worker, one in figures.items():
        if one.rows is not None:
            _fill(rows, (worker,), one.rows)
    yield rows


def _fill(family: HistogramMetricFamily, labels: tuple[str, ...], counted: Histogram) -> None:
    """Prometheus counts what is at most each bound; we, what lies between two."""
    total, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip([*map(str, map(float, counted.bounds)), "+Inf"], counted.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    family.add_metric(labels, buckets, counted.sum)


def _gauge(name: str, text: str, samples: Samples, *labels: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, samples: Samples, *labels: str) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
