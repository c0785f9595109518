"""An engine without a model, at the seam of the real one: what the text asks for happens, at once or slowly.

Words in an article's body or a chat's last message: `POISON` kills the process, `SLOW 3` takes 3 seconds, `STUCK
worker-1` takes for ever in that worker, `COUNT 50` is streamed as 50 pieces, 50 ms apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.chat import ChatRequest
from schemas.completion import Usage
from schemas.errors import NotFound, Unavailable
from schemas.messages import text
from schemas.runtime import log as logs
from schemas.subjects import model_token
from worker.engine.counters import Counters
from worker.engine.run import Run
from worker.engine.shape import Shape
from worker.jobs import Done, Durations, Ended, Job, Prepared, Sampling, Text
from worker.scheduler import Scheduler

log = logs.get("stub")

MODEL = "stub"
STEP = 0.005
COUNT_STEP = 0.05
ANSWER = {"summary": "Done.", "coins": ["BTC"], "sentiment": "neutral", "importance": 2, "confidence": 0.5}


@dataclass(frozen=True)
class Entry:
    name: str = MODEL
    aliases: tuple[str, ...] = ()
    context: int = 4096
    identity: str = "stub"
    error: None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)


class Catalog:
    """One model that is always there."""

    default = Entry()

    @classmethod
    def load(cls, settings: object) -> Catalog:
        if "CHAOS_LOAD" in os.environ:
            log.info("stub_loading")
            time.sleep(float(os.environ["CHAOS_LOAD"]))  # as weights are: nothing interrupts it
        return cls()

    def find(self, model: str | None) -> Entry:
        if model is not None and model_token(model) != MODEL:
            raise NotFound(f"The model `{model}` does not exist here.", code="model_not_found")
        return self.default

    def __iter__(self) -> Iterator[Entry]:
        return iter([self.default])

    def fetch_missing(self, cache: Path) -> None:
        """Nothing is missing."""


class Engine:
    """The real scheduler decides who runs; running takes a step or what the text asks for."""

    def __init__(self, catalog: Catalog, shape: Shape) -> None:
        self.catalog = catalog
        self.shape = shape
        self.counters = Counters()
        self.loaded = frozenset({MODEL})
        self._scheduler = Scheduler(shape.rows - shape.chat_rows, shape.chat_rows, bulk_rows=shape.bulk_rows)
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._trace = os.environ.get("CHAOS_TRACE")
        self._name = os.environ["NATS_MLX_WORKER_NAME"]

    async def start(self) -> None:
        """There is nothing to load."""

    async def stop(self) -> None:
        for run in self._runs.values():
            run.fail(Unavailable("The worker is shutting down; try again."))

    async def head(self, first: ChatRequest, second: ChatRequest) -> list[int]:
        return []

    async def prepare(
        self, request: ChatRequest, head: Sequence[int] = (), *, queued: bool = False
    ) -> Prepared:
        self.catalog.find(request.model)
        last: Any = request.messages[-1]
        prompt = list(text(last.content).encode())
        answers = 1 if request.response_format is not None else 0
        return Prepared(MODEL, prompt, 16, Sampling(temperature=0.0), grammar="json" if answers else None)

    async def text(self, work: Prepared) -> str:
        return bytes(work.prompt).decode()

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Run]:
        run = self._runs[job.id] = Run(job)
        self._scheduler.add(job)
        self._admit()
        try:
            yield run
        finally:
            if (task := self._tasks.pop(job.id, None)) is not None:
                task.cancel()
            self._forget(job.id)

    @property
    def running(self) -> int:
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        return self._scheduler.waiting

    def retry_after(self) -> int:
        return 1

    def memory_bytes(self) -> int:
        return 0

    def _admit(self) -> None:
        for job in self._scheduler.admit():
            self._tasks[job.id] = asyncio.create_task(self._work(self._runs[job.id]))

    def _forget(self, job_id: str) -> None:
        if self._runs.pop(job_id, None) is not None:
            self._scheduler.discard(job_id)
            self._admit()

    async def _work(self, run: Run) -> None:
        job = run.job
        prompt = bytes(job.work.prompt).decode()
        if "POISON" in prompt:
            await asyncio.sleep(STEP)  # those who are admitted with it run when it happens
            os.kill(os.getpid(), signal.SIGKILL)
        if f"STUCK {self._name}" in prompt:
            await asyncio.Event().wait()
        await asyncio.sleep(_number(prompt, "SLOW") or STEP)
        if job.work.grammar is not None:
            run.events.put_nowait(Text(json.dumps(ANSWER)))
        else:
            await self._count(run, int(_number(prompt, "COUNT") or 1))
        self._note(prompt)
        usage = Usage(len(job.work.prompt), 1, len(job.work.prompt) + 1)
        done = Done("stop", usage, Durations(0.0, 0.0, STEP))
        self.counters.ended[job.lane, done.finish] += 1
        for event in (Ended("stop"), done) if job.lane == "chat" else (done,):
            run.events.put_nowait(event)
        self._tasks.pop(job.id, None)
        self._forget(job.id)

    async def _count(self, run: Run, pieces: int) -> None:
        for number in range(1, pieces + 1):
            run.events.put_nowait(Text(f"{number} "))
            if number < pieces:
                await asyncio.sleep(COUNT_STEP)

    def _note(self, prompt: str) -> None:
        """What was computed, for those who count inferences: one short write, so that lines never mix."""
        if self._trace:
            with Path(self._trace).open("a") as trace:
                trace.write(json.dumps(prompt[:80]) + "\n")


def _number(prompt: str, word: str) -> float | None:
    found = re.search(rf"\b{word} ([\d.]+\d|\d+)", prompt)
    return float(found[1]) if found else None
