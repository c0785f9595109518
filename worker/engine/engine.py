"""The thread that owns the model: jobs go in, events come out, and between two steps the scheduler is asked."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mlx.core as mx

from schemas.chat import ChatRequest
from schemas.errors import EngineFailed, LlmError, Unavailable
from schemas.runtime import log as logs
from worker.engine.batch import Batch, Shape
from worker.engine.model import Model
from worker.jobs import Event, Failed, Job, Prepared, Text
from worker.scheduler import Scheduler

log = logs.get("worker.engine")

Command = Callable[[], None]


@dataclass(slots=True)
class Counters:
    """Work done since the start; written by the engine's thread, read by anyone."""

    prompt_tokens: int = 0
    decode_tokens: int = 0
    busy_seconds: float = 0.0
    steps: int = 0

    def copy(self) -> Counters:
        return replace(self)


class Run:
    """One job's events, as they come."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def fail(self, error: LlmError) -> None:
        """End it from outside: whoever reads the events sees this as the last."""
        self.events.put_nowait(Failed(error))

    async def next(self, patience: float | None = None) -> Event | None:
        """The next event, or None when none came within `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                return await self.events.get()
        except TimeoutError:
            return None


class Engine:
    """Asked from the event loop; everything behind `_work` runs on the engine's own thread.

    Only Python values cross between the two: commands through a queue, events through the loop.
    """

    def __init__(
        self, name: str, folder: Path, shape: Shape, chat_slots: int, default_max_tokens: int
    ) -> None:
        self._load = partial(Model, name, folder, default_max_tokens)
        self._shape = shape
        self._scheduler = Scheduler(shape.rows - chat_slots, chat_slots, shape.prefill_rows)
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._runs: dict[str, Run] = {}
        self._submitted: dict[str, float] = {}
        # One helper thread tokenises: the loop stays free, and the tokenizer is used by one thread at a time.
        self._helper = ThreadPoolExecutor(1, "prepare")
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._stopped = False
        self.counters = Counters()
        self.model: Model

    async def start(self) -> None:
        """Load the model. Raises BadRequest for one that cannot serve, EngineFailed for one that does not load."""
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[Model] = self._loop.create_future()
        self._thread.start()
        try:
            self.model = await self._loaded
        except LlmError:
            raise
        except Exception as error:
            log.exception("model_not_loaded")
            raise EngineFailed(f"The model could not be loaded: {error}") from error

    async def head(self, first: ChatRequest, second: ChatRequest) -> list[int]:
        """The tokens with which the prompts of both requests begin."""
        return await self._loop.run_in_executor(self._helper, self.model.head, first, second)

    async def prepare(self, request: ChatRequest, head: Sequence[int] = ()) -> Prepared:
        """Tokenise and check away from both the loop and the engine. Raises BadRequest."""
        return await self._loop.run_in_executor(self._helper, self.model.prepare, request, head)

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Run]:
        """Submit a job; leaving early cancels it, and its row is free within one step."""
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

    def memory_bytes(self) -> int:
        """What MLX holds now: weights, caches, buffers."""
        return mx.get_active_memory()

    async def stop(self) -> None:
        """End the thread after its current step; runs that are left fail."""
        self._stopped = True  # a job that came behind the end would never be looked at
        self._commands.put(None)
        await asyncio.to_thread(self._thread.join)
        self._helper.shutdown(wait=False)

    # What follows runs on the engine's thread.

    def _work(self) -> None:
        try:
            self._model = self._load()
            self._batch = Batch(self._model, self._shape)
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._loaded.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self._loaded.set_result, self._model)
        while self._take_commands():
            try:
                self._step()
            except Exception as error:
                self._recover(error)
        self._fail_all(Unavailable("The worker is shutting down; try again."))
        self._batch.close()

    def _take_commands(self) -> bool:
        """Carry out what came in since the last step; sleep while there is nothing to compute."""
        while True:
            idle = not self._batch and not self._scheduler.waiting
            try:
                command = self._commands.get(block=idle)
            except queue.Empty:
                return True
            if command is None:
                return False
            command()

    def _submit(self, job: Job, submitted: float) -> None:
        self._submitted[job.id] = submitted
        self._scheduler.add(job)

    def _cancel(self, job_id: str) -> None:
        self._forget(job_id)
        self._batch.remove(job_id)

    def _forget(self, job_id: str) -> None:
        self._scheduler.discard(job_id)
        self._submitted.pop(job_id, None)

    def _step(self) -> None:
        for job in self._scheduler.admit(self._batch.prompting):
            self._insert(job)
        started = time.monotonic()
        events = self._batch.step()
        self._count(events, time.monotonic() - started)
        self._send(events)

    def _insert(self, job: Job) -> None:
        try:
            self._batch.insert(job, self._submitted[job.id])
        except Exception as error:
            log.error("job_refused_by_batch", job=job.id, exc_info=error)
            self._send([(job.id, Failed(EngineFailed("The model cannot take this request; try again.")))])

    def _count(self, events: list[tuple[str, Event]], seconds: float) -> None:
        self.counters.steps += 1
        self.counters.busy_seconds += seconds
        for _, event in events:
            if not isinstance(event, Text | Failed):
                self.counters.prompt_tokens += event.usage.prompt_tokens
                self.counters.decode_tokens += event.usage.completion_tokens

    def _send(self, events: list[tuple[str, Event]]) -> None:
        for job_id, event in events:
            if not isinstance(event, Text):
                self._forget(job_id)
        if events:
            self._loop.call_soon_threadsafe(self._deliver, events)

    def _recover(self, error: Exception) -> None:
        """A step failed: its rows cannot be trusted. They fail, and the next rows get a new batch."""
        log.error("engine_step_failed", rows=len(self._batch), exc_info=error)
        failure = (
            error
            if isinstance(error, LlmError)
            else EngineFailed("The model failed on this batch; try again.")
        )
        self._send([(job_id, Failed(failure)) for job_id in self._batch.jobs])
        self._batch.close()
        self._batch = Batch(self._model, self._shape)

    def _fail_all(self, error: LlmError) -> None:
        self._send([(job_id, Failed(error)) for job_id in list(self._submitted)])

    # Back on the event loop.

    def _deliver(self, events: list[tuple[str, Event]]) -> None:
        for job_id, event in events:
            run = self._runs.get(job_id)
            if run is None:
                continue  # cancelled a moment ago
            if not isinstance(event, Text):
                del self._runs[job_id]
            run.events.put_nowait(event)
