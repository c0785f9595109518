"""The worker put together: model, connection, queue and service in the order in which they need each other."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

from nats.aio.client import Client
from nats.errors import Error as NatsError

from schemas import __version__, streams
from schemas.errors import Conflict, LlmError
from schemas.runtime import log as logs
from schemas.runtime import loop, spans
from schemas.runtime.connection import connect
from schemas.subjects import SERVICE
from worker.awake import Awake
from worker.engine.catalog import Catalog
from worker.engine.engine import Engine
from worker.engine.shape import Shape
from worker.settings import Settings
from worker.transport import stats, topology
from worker.transport.answers import Answers
from worker.transport.article import Analyst
from worker.transport.batch_line import LineHandler
from worker.transport.inference import Inference
from worker.transport.ledger import Ledger
from worker.transport.micro import Service
from worker.transport.mover import Mover
from worker.transport.outcomes import Outcomes
from worker.transport.presence import PresenceBoard, clear_away, worker_id
from worker.transport.queue import Queue
from worker.transport.recipes import Recipes
from worker.transport.results import Results
from worker.transport.runs import Runs
from worker.transport.trials import Trials

log = logs.get("worker")

_DESCRIPTION = "Chat and completions by MLX models, and analyses of queued articles"
# Seconds beyond the grace for goodbyes to a server that is there.
_LAST_WORDS = 4.0


class Worker:
    """Starts everything, waits for the end, stops everything in the opposite order."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = worker_id(settings.name)
        self._end = asyncio.Event()
        self._lost = False
        self._loading = True

    async def run(self) -> int:
        """Serve until a signal (exit code 0) or until the connection is over for good (1)."""
        self._catch_signals()
        settings = self._settings
        catalog = await asyncio.to_thread(Catalog.load, settings)
        engine = Engine(catalog, shape_of(settings))
        await engine.start()
        self._loading = False
        # Not the loop's own threads: those are waited for at the end, and a download takes hours.
        threading.Thread(target=catalog.fetch_missing, args=(settings.cache_dir,), daemon=True).start()
        awake = Awake(lambda: engine.running + engine.waiting > 0)
        if settings.keep_awake:
            awake.start()
        try:
            if (nc := await self._connected()) is not None:
                async with self.serving(nc, engine):
                    await self._end.wait()
        finally:
            await awake.stop()
            await engine.stop()
        return 1 if self._lost else 0

    @asynccontextmanager
    async def serving(self, nc: Client, engine: Engine) -> AsyncIterator[None]:
        """From when all work that comes over `nc` is taken, until it is finished or given back."""
        settings, model = self._settings, engine.catalog.default.name
        js = nc.jetstream(timeout=10)
        await topology.ensure(js, settings.replicas)
        recipes = Recipes(js, engine)
        board = PresenceBoard(nc, engine, self._id, settings.slots, settings.presence_interval)
        results = Results(js)
        answers = Answers(engine, results)
        ledger = Ledger(js, self._id)
        analyst = Analyst(engine, recipes, answers, ledger, board, self._id)
        kept = results if settings.cache_chats else None
        inference = Inference(nc, engine, Runs(engine, kept), settings)
        about = {"model": model, "worker": self._id}
        endpoints = [*inference.endpoints(), *Trials(nc, engine).endpoints()]
        figures = partial(stats.told, engine.counters, results.lookups, engine.shape)
        service = Service(nc, SERVICE, __version__, _DESCRIPTION, about, endpoints, figures)
        outcomes = Outcomes(js)
        lines = LineHandler(engine, Runs(engine, kept), outcomes, board)
        handlers = {streams.ARTICLES.name: analyst.handle, streams.BATCH_LINES.name: lines.handle}
        queue = Queue(nc, js, settings.slots, handlers, careful=await clear_away(nc))
        mover = Mover(js, {streams.ARTICLES.name: ledger, streams.BATCH_LINES.name: outcomes})
        for part in (recipes, results, inference, service, queue, mover, board):
            await part.start()
        log.info(
            "worker_ready",
            worker=self._id,
            model=model,
            version=__version__,
            pid=os.getpid(),
            loop=loop.name(),
        )
        try:
            yield
        finally:
            await self._stop(nc, board, service, inference, queue, mover)

    async def _connected(self) -> Client | None:
        """The connection; None when the end comes first, for the server may be away for days."""
        connecting, ending = asyncio.create_task(self.connect()), asyncio.create_task(self._end.wait())
        await asyncio.wait({connecting, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if connecting.done():
            return connecting.result()
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        return None

    async def connect(self) -> Client:
        """Raises Refused; an absent server is waited for."""
        settings = self._settings
        return await connect(
            settings.nats_url,
            settings.nats_user,
            settings.password,
            name=f"nats-mlx worker {self._id}",
            wait=True,
            tls=settings.tls,
            closed=self._on_closed,
        )

    async def _stop(
        self,
        nc: Client,
        board: PresenceBoard,
        service: Service,
        inference: Inference,
        queue: Queue,
        mover: Mover,
    ) -> None:
        """Take no more work, finish or give back what there is, then leave; in time, also without a server."""
        log.info("worker_stopping", worker=self._id)
        if self._lost:
            return
        grace = self._settings.shutdown_grace
        try:
            async with asyncio.timeout(grace + _LAST_WORDS):
                await asyncio.gather(
                    queue.stop(grace), mover.stop(), self._finish_answers(service, inference, grace)
                )
                await inference.stop()
                await board.stop()
                # drain() waits long for a server that does not answer, and cannot be interrupted.
                await nc.flush(timeout=1)
                await nc.drain()
        except (TimeoutError, NatsError) as error:
            hint = "the server does not answer; it gives our work to others after the ack wait"
            log.warning("worker_left_in_haste", error=str(error), hint=hint)

    async def _finish_answers(self, service: Service, inference: Inference, grace: float) -> None:
        timer = asyncio.get_running_loop().call_later(grace, inference.abort)
        await service.close_endpoints()
        await service.stop(grace + _LAST_WORDS)
        timer.cancel()

    def _on_closed(self) -> None:
        if not self._end.is_set():
            log.error(
                "connection_over", hint="the server refused us for good; the supervisor starts us again"
            )
            self._lost = True
            self._end.set()

    def _catch_signals(self) -> None:
        running = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(sign, self._on_signal)

    def _on_signal(self) -> None:
        if self._end.is_set():
            os._exit(130)  # asked twice: at once, the queue gets its work back after the ack wait
        if self._loading:
            # Nothing was taken yet, and a model that loads or is fetched cannot be interrupted.
            log.info("worker_stopping", worker=self._id)
            os._exit(0)
        self._end.set()


def shape_of(settings: Settings) -> Shape:
    """What the settings let the engine take. Plain numbers: pydantic's sizes are none to msgspec."""
    return Shape(
        rows=settings.slots + settings.chat_slots,
        chat_rows=settings.chat_slots,
        bulk_share=settings.bulk_share,
        prefill_chunk=settings.prefill_chunk,
        live_chunk=min(settings.live_chunk, settings.prefill_chunk),
        prefill_stretch=settings.prefill_stretch,
        prefix_bytes=int(settings.prefix_bytes),
        kv_bytes=int(settings.kv),
        memory_limit=int(settings.memory),
        idle_unload=settings.idle_unload,
        step_limit=settings.step_limit,
        default_max_tokens=settings.default_max_tokens,
        wired_limit=settings.wired_limit,
        trust_remote_code=settings.trust_remote_code,
    )


def main() -> NoReturn:
    """Run a worker with the settings of this machine; ends the process with its exit code."""
    settings = Settings.load()
    logs.setup(settings.log_level, settings.log_format, settings.kept_log)
    spans.setup("nats-mlx worker")
    loop.live(_code(Worker(settings)))


async def _code(worker: Worker) -> int:
    try:
        return await worker.run()
    except Conflict as error:  # what it found is of a newer version
        log.error("worker_failed", error=error.message)
        return loop.CANNOT_RUN
    except LlmError as error:
        log.error("worker_failed", error=error.message)
    except NatsError as error:
        hint = "is JetStream on, and may this user make streams?"
        log.error("worker_failed", error=f"NATS did not do what a worker needs ({error}): {hint}")
    return 1
