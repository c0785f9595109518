"""The models whose weights are in memory, each with its batch; who comes and who goes is the residency's word."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx

from schemas.errors import LlmError, Unavailable
from schemas.runtime import log as logs
from worker.engine import weights
from worker.engine.batch import Batch
from worker.engine.cost import KvCost, shape_of
from worker.engine.counters import Counters
from worker.engine.model import Model
from worker.engine.models import Models, broken
from worker.engine.pace import Pace
from worker.engine.prefix import Prefixes
from worker.engine.residency import Residency
from worker.engine.shape import Shape
from worker.jobs import Job

log = logs.get("worker.residents")

# Bytes: more than the buffers of one step, which the next needs again: all rows' logits, a long prompt's attention.
_FREED = 512 * 2**20


@dataclass(slots=True)
class _Resident:
    model: Model
    weights: weights.Weights
    batch: Batch


class Residents:
    """Belongs to the engine's thread; only `names` may be read from elsewhere."""

    def __init__(self, models: Models, shape: Shape, counters: Counters, pace: Pace) -> None:
        self._models = models
        self._shape = shape
        self._counters = counters
        self._residency = Residency(shape.memory_limit, shape.idle_unload)
        self._prefixes = Prefixes(shape.prefix_bytes)
        self._pace = pace
        self._here: dict[str, _Resident] = {}
        self.names: frozenset[str] = frozenset()

    def open(self) -> None:
        """Load what is to be there from the start. Raises only for the default model."""
        if mx.metal.is_available():
            # By itself MLX keeps what was freed there until the GPU's memory is full; on the CPU it keeps little.
            mx.set_cache_limit(_FREED)
            if self._shape.wired_limit:
                mx.set_wired_limit(int(mx.device_info()["max_recommended_working_set_size"]))
        catalog = self._models.catalog
        for entry in catalog:
            if not entry.preload or entry.error is not None:
                continue
            try:
                self._load(entry.name, busy=set())
            except LlmError:
                if entry is catalog.default:
                    raise
        self.sweep(set())

    @property
    def prompting(self) -> int:
        """Articles whose prompt is not computed yet."""
        return sum(resident.batch.prompting for resident in self._here.values())

    @property
    def patience(self) -> float | None:
        """Seconds after which `sweep` may have something to do; None for never."""
        return self._shape.idle_unload / 4 if self._shape.idle_unload and self._here else None

    def at_work(self) -> Iterator[tuple[str, Batch]]:
        """Those whose step is next."""
        busy = [(name, one.batch) for name, one in self._here.items() if one.batch.busy]
        if not any(batch.awaited for _, batch in busy):
            return iter(busy)
        chats = [one for one in busy if one[1].has_chat]
        return self._pace.turns(chats, [one for one in busy if not one[1].has_chat])

    def weigh(self) -> None:
        """Note what KV state there is."""
        self._counters.kv_bytes = sum(resident.batch.nbytes for resident in self._here.values())
        self._counters.prefix_bytes = self._prefixes.nbytes

    def fit(self, jobs: Sequence[Job], leaving: Sequence[Job]) -> bool:
        """Whether these may run together: their models in memory, their KV state in its budget, beside that of what is
        set aside. `leaving` would be, too.
        """
        last = jobs[-1].work.model
        if last in self._here:
            # One that is too large even alone never will: let it in, to be told so.
            alone = self._here[last].model.is_too_large(jobs[-1].work)
            return alone or self._kv(jobs, leaving) <= self._shape.kv_bytes
        try:
            return self._room(last, {job.work.model for job in jobs[:-1]}) is not None
        except Unavailable:
            return True  # it never will: let it in, to be told so

    def insert(self, job: Job, submitted: float, running: Sequence[Job]) -> bool:
        """Begin a job, after loading its model if need be; False when its KV state does not fit beside what runs.

        `running` are all, this one included.

        Raises LlmError for one that never fits, or whose model does not load.
        """
        name = job.work.model
        was_here = name in self._here
        if not was_here:
            self._load(name, {one.work.model for one in running} - {name})
        resident = self._here[name]
        # Only with its model here is it known what its state costs, and it was prepared before.
        resident.model.check_memory(job.work)
        if not was_here and self._kv(running) > self._shape.kv_bytes:
            return False
        self._residency.touched(name, time.monotonic())
        resident.batch.insert(job, submitted)
        return True

    def set_aside(self, job: Job) -> None:
        self._here[job.work.model].batch.set_aside(job.id)

    def remove(self, job_id: str) -> None:
        for resident in self._here.values():
            resident.batch.remove(job_id)

    def renew(self, name: str) -> None:
        """Forget all that is under way in a model, and what it left."""
        self._prefixes.forget(name)
        self._here[name].batch = self._batch(self._here[name].model, self._here[name].weights)

    def sweep(self, busy: Collection[str]) -> None:
        """Drop the weights of models that have had no work for too long."""
        for name in self._residency.idle(time.monotonic(), set(busy)):
            self._unload(name)

    def close(self) -> None:
        for name in list(self._here):
            self._unload(name)

    def _load(self, name: str, busy: set[str]) -> _Resident:
        entry = self._models.catalog.find(name)
        model = self._models.find(name)
        for other in self._room(name, busy) or ():
            self._unload(other)
        self._bound_prefixes(entry.bytes)
        started = time.monotonic()
        try:
            loaded = weights.load(entry, self._shape.trust_remote_code)
        except Exception as error:
            self._bound_prefixes()
            raise broken(entry, error) from error
        model.cost = loaded.cost
        self._here[name] = _Resident(model, loaded, self._batch(model, loaded))
        self._residency.loaded(name, loaded.nbytes, time.monotonic())
        left = self._bound_prefixes()
        self.names = frozenset(self._here)
        seconds = round(time.monotonic() - started, 2)
        log.info("model_loaded", model=name, seconds=seconds, bytes=loaded.nbytes, prefix_bytes=left)
        return self._here[name]

    def _unload(self, name: str) -> None:
        del self._here[name]
        self._residency.unloaded(name)
        self._prefixes.forget(name)
        self._bound_prefixes()
        self.names = frozenset(self._here)
        mx.clear_cache()
        log.info("model_unloaded", model=name)

    def _bound_prefixes(self, coming: int = 0) -> int:
        """What is kept for prompts has no more than weights and KV state leave. Returns how many bytes."""
        budget = min(self._shape.prefix_bytes, self._residency.left(self._shape.kv_bytes, coming))
        self._prefixes.bound(budget)
        return budget

    def _batch(self, model: Model, loaded: weights.Weights) -> Batch:
        return Batch(model, loaded, self._prefixes, self._shape, self._counters, self._pace)

    def _room(self, name: str, busy: set[str]) -> list[str] | None:
        size = self._models.catalog.find(name).bytes
        # What was set aside is work as well, and would be lost with its model.
        busy = busy | {other for other, resident in self._here.items() if resident.batch.jobs}
        return self._residency.room_for(name, size, self._shape.kv_bytes, busy)

    def _kv(self, jobs: Sequence[Job], leaving: Sequence[Job] = ()) -> int:
        by_model: dict[str, list[Job]] = {}
        for job in jobs:
            by_model.setdefault(job.work.model, []).append(job)
        here, away = {job.id for job in jobs}, {job.id for job in leaving}
        aside = sum(resident.batch.aside_bytes(here, away) for resident in self._here.values())
        return aside + sum(self._cost(name)(*shape_of(some)) for name, some in by_model.items())

    def _cost(self, name: str) -> KvCost:
        cost = self._models.find(name).cost
        assert cost is not None  # whatever runs has been loaded
        return cost
