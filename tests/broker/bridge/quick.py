"""A bridge and a worker in a thread of their own, for clients that block: real to the engine, which answers at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

from bridge import app
from bridge.settings import Settings
from schemas.completion import Usage
from schemas.runtime.connection import connect
from worker.engine.catalog import Catalog, Entry
from worker.engine.counters import Counters
from worker.engine.engine import Engine
from worker.engine.run import Run
from worker.jobs import Done, Durations, Ended, Job, Prepared, Request, Sampling, Text
from worker.settings import Settings as WorkerSettings
from worker.transport import topology
from worker.transport.inference import Inference
from worker.transport.micro import Service
from worker.transport.presence import PresenceBoard
from worker.transport.runs import Runs

MODEL = "quick"


class QuickEngine:
    """Two words for each choice, without a model."""

    loaded = frozenset([MODEL])
    running = waiting = 0

    def __init__(self) -> None:
        self.catalog = Catalog([Entry(MODEL, ("starter",), Path(MODEL), context=2048)])
        self.counters = Counters()

    async def prepare(self, request: Request, *, queued: bool = False) -> Prepared:
        model = self.catalog.find(request.model).name if request.model else MODEL
        return Prepared(model, [1], 2, Sampling(), choices=request.n or 1, alternatives=request.alternatives)

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Run]:
        run = Run(job)
        for choice in range(job.work.choices):
            for event in (Text("Quite ", choice), Text("so.", choice), Ended("stop", choice)):
                run.events.put_nowait(event)
        run.events.put_nowait(Done("stop", Usage(1, 2, 3), Durations(0, 0, 0)))
        yield run

    def retry_after(self) -> int:
        return 1

    def memory_bytes(self) -> int:
        return 0


@contextlib.contextmanager
def served(nats_url: str) -> Iterator[str]:
    """The bridge's address."""
    started: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with _up(nats_url) as url:
            started.append(url)
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield started[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join()


@contextlib.asynccontextmanager
async def _up(nats_url: str) -> AsyncIterator[str]:
    nc = await connect(nats_url, "worker", "worker-secret", name="quick", wait=True)
    engine = cast(Engine, QuickEngine())
    js = nc.jetstream()
    await topology.ensure(js)
    inference = Inference(nc, engine, Runs(engine, None), WorkerSettings.load())
    service = Service(nc, "llm", "1.0.0", "t", {}, inference.endpoints())
    board = PresenceBoard(nc, engine, "quick", 4, 5)
    parts: list[Any] = [inference, service, board]
    for part in parts:
        await part.start()
    chosen = Settings.load(nats_url=nats_url, nats_user="bridge", nats_password="bridge-secret", port=0)
    bridge = await connect(nats_url, "bridge", "bridge-secret", name="quick bridge", wait=True)
    runner = await app.listen(chosen, bridge)
    yield app.address(runner)
    await runner.cleanup()
    await service.stop(1)
    await inference.stop()
    await board.stop()
    await bridge.close()
    await nc.close()
