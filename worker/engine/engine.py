"""The thread that owns the models: jobs go in, events come out, and between two steps the scheduler is asked."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from functools import partial

import mlx.core as mx

from schemas.errors import EngineFailed, LlmError, Unavailable
from schemas.runtime import log as logs
from worker.engine import device
from worker.engine.batch import Batch
from worker.engine.catalog import Catalog
from worker.engine.counters import Counters
from worker.engine.models import Models
from worker.engine.pace import Pace
from worker.engine.residents import Residents
from worker.engine.run import Run
from worker.engine.shape import Shape
from worker.engine.watchdog import Watchdog
from worker.jobs import Done, Event, Failed, Job, Prepared, Request
from worker.scheduler import Scheduler

log = logs.get("worker.engine")

Command = Callable[[], None]

_LONGEST_RETRY = 60
_WEIGH_EVERY = 1.0
_LAST_STEP = 3.0
# Seconds that one thread may keep Python from the others. To build a step takes about Python's own 5 ms, and for so
# long each token and each request would wait on the loop's side.
_TURN = 0.0005


class Engine:
    """Asked from the event loop; everything behind `_work` runs on the engine's own thread.

    Only Python values cross between the two: commands through a queue, events through the loop.
    """

    def __init__(self, catalog: Catalog, shape: Shape) -> None:
        self.catalog = catalog
        self.counters = Counters()
        self.shape = shape
        self._models = Models(catalog, shape)
        self._watchdog = Watchdog(shape.step_limit)
        pace = Pace(shape.bulk_share, self._done)
        self._residents = Residents(self._models, shape, self.counters, pace)
        self._scheduler = Scheduler(
            shape.rows - shape.chat_rows,
            shape.chat_rows,
            prompts=1,
            fits=self._residents.fit,
            bulk_rows=shape.bulk_rows,
        )
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._runs: dict[str, Run] = {}
        self._submitted: dict[str, tuple[Job, float]] = {}  # with the moment
        self._weighed = 0.0
        # One helper thread tokenises: the loop stays free, and a tokenizer is used by one thread at a time.
        self._helper = ThreadPoolExecutor(1, "prepare")
        self._queued = asyncio.Semaphore(1)
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._stopped = False

    async def start(self) -> None:
        """Load what is to be there from the start. Raises BadRequest or Unavailable when the default model
        cannot serve.
        """
        sys.setswitchinterval(_TURN)
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        await self._ready
        self._watchdog.start()

    async def head(self, first: Request, second: Request) -> list[int]:
        """The tokens with which the prompts of both requests, for the same model, begin."""
        return await self._loop.run_in_executor(self._helper, self._models.head, first, second)

    async def prepare(self, request: Request, head: Sequence[int] = (), *, queued: bool = False) -> Prepared:
        """Tokenise and check away from both the loop and the engine.

        Raises BadRequest, NotFound for a model that nobody configured, Unavailable for one that does not load.
        """
        # Of queued work one at a time: a chat waits for that, not for all that came before.
        async with self._queued if queued else nullcontext():
            return await self._loop.run_in_executor(self._helper, self._models.prepare, request, head)

    async def text(self, work: Prepared) -> str:
        """The prompt as its model reads it, control tokens included."""
        return await self._loop.run_in_executor(self._helper, self._models.text, work)

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Run]:
        """Submit a job; leaving early cancels it, and its rows are free within one step."""
        if self._stopped or not self._thread.is_alive():
            raise Unavailable("The engine has stopped; try again in a moment.")
        run = self._runs[job.id] = Run(job)
        self._commands.put(partial(self._submit, job, time.monotonic()))
        try:
            yield run
        finally:
            if self._runs.pop(job.id, None) is not None:
                self._commands.put(partial(self._cancel, job.id))

    @property
    def running(self) -> int:
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        return self._scheduler.waiting

    @property
    def loaded(self) -> frozenset[str]:
        """Names of the models whose weights are in memory."""
        return self._residents.names

    def retry_after(self) -> int:
        """Seconds until there may be room again, by what jobs have taken so far."""
        each = self.counters.busy_seconds / max(self.counters.jobs, 1)
        return max(1, min(_LONGEST_RETRY, round(self.waiting * each)))

    def memory_bytes(self) -> int:
        """What MLX holds now: weights, KV state, buffers, and those that were freed and will be used again."""
        return mx.get_active_memory() + mx.get_cache_memory()

    async def stop(self) -> None:
        """End the thread after its current step, which is not waited for if it takes long; runs that are left fail."""
        self._stopped = True  # a job that came behind the end would never be looked at
        self._commands.put(None)
        await asyncio.to_thread(self._thread.join, _LAST_STEP)
        if self._thread.is_alive():  # it loads a model, and will tell nobody any more
            for run in self._runs.values():
                run.fail(_stopping())
        await asyncio.to_thread(self._watchdog.stop)
        self._helper.shutdown(wait=False)

    # What follows runs on the engine's thread.

    def _work(self) -> None:
        try:
            self._residents.open()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._ready.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self._ready.set_result, None)
        try:
            while self._take_commands():
                self._admit()
                self._weigh()
                for name, batch in self._residents.at_work():
                    self._step(name, batch)
        except BaseException as error:
            # Outside a step nobody can be told what was lost. A worker without an engine would take work and refuse it
            # all, until each article has used up its deliveries.
            log.critical("engine_broken", exc_info=error, hint="ending, to be started again")
            self._watchdog.give_up()
            return
        self._fail(list(self._submitted), _stopping())
        self._residents.close()

    def _done(self) -> float:
        with self._watchdog.over():
            return device.done()

    def _take_commands(self) -> bool:
        """Carry out what came in since the last step; sleep while there is nothing to compute."""
        while True:
            idle = not self._submitted
            if idle:
                self._residents.weigh()
            try:
                command = self._commands.get(block=idle, timeout=self._residents.patience if idle else None)
            except queue.Empty:
                if not idle:
                    return True
                self._residents.sweep(set())
                continue
            if command is None:
                return False
            with self._watchdog.over():  # to take rows out of a batch is work for the device
                command()

    def _submit(self, job: Job, submitted: float) -> None:
        self._submitted[job.id] = job, submitted
        self._scheduler.add(job)

    def _cancel(self, job_id: str) -> None:
        self._forget(job_id, "cancelled")
        self._residents.remove(job_id)

    def _forget(self, job_id: str, outcome: str) -> None:
        self._scheduler.discard(job_id)
        if (submitted := self._submitted.pop(job_id, None)) is not None:
            self.counters.ended[submitted[0].lane, outcome] += 1

    def _weigh(self) -> None:
        """Once in a while: it takes longer than to count a step."""
        if (now := time.monotonic()) - self._weighed >= _WEIGH_EVERY:
            self._weighed = now
            self._residents.weigh()

    def _admit(self) -> None:
        self._residents.sweep(self._scheduler.models)
        for job in self._scheduler.displace():
            with self._watchdog.over():
                self._residents.set_aside(job)
        for job in self._scheduler.admit(self._residents.prompting):
            try:
                if not self._residents.insert(job, self._submitted[job.id][1], self._scheduler.jobs):
                    self._scheduler.defer(job)
                    return
            except LlmError as error:
                self._fail([job.id], error)
            except BaseException as error:  # a panic in Rust is no Exception, and this thread must not end
                log.error("job_refused_by_batch", job=job.id, exc_info=error)
                self._fail([job.id], EngineFailed("The model cannot take this request; try again."))

    def _step(self, name: str, batch: Batch) -> None:
        try:
            with self._watchdog.over():
                events = batch.step()
        except BaseException as error:  # as in _admit
            # Its rows cannot be trusted any more. They fail, and the next rows get a new batch.
            log.error("engine_step_failed", model=name, rows=len(batch.jobs), exc_info=error)
            self._residents.renew(name)
            self._fail(batch.jobs, EngineFailed("The model failed on this batch; try again."))
            return
        self._send(events)

    def _fail(self, job_ids: Sequence[str] | set[str], error: LlmError) -> None:
        self._send([(job_id, Failed(error)) for job_id in job_ids])

    def _send(self, events: list[tuple[str, Event]]) -> None:
        for job_id, event in events:
            match event:
                case Done(finish):
                    self._forget(job_id, finish)
                case Failed(error):
                    self._forget(job_id, error.code or error.type)
        if events:
            self._loop.call_soon_threadsafe(self._deliver, events)

    # Back on the event loop.

    def _deliver(self, events: list[tuple[str, Event]]) -> None:
        for job_id, event in events:
            run = self._runs.get(job_id)
            if run is None:
                continue  # cancelled a moment ago
            if isinstance(event, Done | Failed):
                del self._runs[job_id]
            run.events.put_nowait(event)


def _stopping() -> Unavailable:
    return Unavailable("The worker is shutting down; try again.")
