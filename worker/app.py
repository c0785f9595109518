"""The worker put together: model, connection, queue and service in the order in which they need each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from nats.aio.client import Client
from nats.errors import Error as NatsError

from schemas import __version__
from schemas.errors import LlmError
from schemas.presence import ModelCard
from schemas.runtime import log as logs
from schemas.runtime.connection import connect
from schemas.subjects import SERVICE
from worker.engine import store
from worker.engine.batch import Shape
from worker.engine.engine import Engine
from worker.settings import Settings
from worker.transport import topology
from worker.transport.article import Analyst
from worker.transport.chat import Chat
from worker.transport.ledger import Ledger
from worker.transport.micro import Service
from worker.transport.mover import Mover
from worker.transport.presence import PresenceBoard, worker_id
from worker.transport.queue import Queue
from worker.transport.recipes import Recipes

log = logs.get("worker")

_DESCRIPTION = "Chat completions by MLX models, and analyses of queued articles"


class Worker:
    """Starts everything, waits for the end, stops everything in the opposite order."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = worker_id(settings.name)
        self._end = asyncio.Event()
        self._lost = False

    async def run(self) -> int:
        """Serve until a signal (exit code 0) or until the connection is over for good (1)."""
        self._catch_signals()
        started = time.monotonic()
        located = await asyncio.to_thread(store.fetch, self._settings.model, self._settings.cache_dir)
        engine = self._engine(located)
        await engine.start()
        card = ModelCard(located.name, list(located.aliases), engine.model.context)
        log.info("model_loaded", model=located.name, seconds=round(time.monotonic() - started, 2))
        try:
            await self._serve(engine, card)
        finally:
            await engine.stop()
        return 1 if self._lost else 0

    def _engine(self, located: store.Located) -> Engine:
        settings = self._settings
        shape = Shape(
            rows=settings.slots + settings.chat_slots,
            prefill_rows=settings.prefill_rows,
            prefill_chunk=settings.prefill_chunk,
            prefix_bytes=settings.prefix_bytes,
            wired_limit=settings.wired_limit,
        )
        return Engine(located.name, located.folder, shape, settings.chat_slots, settings.default_max_tokens)

    async def _serve(self, engine: Engine, card: ModelCard) -> None:
        settings = self._settings
        nc = await self._connect()
        js = nc.jetstream(timeout=10)
        await topology.ensure(js)
        recipes = Recipes(js, engine)
        board = PresenceBoard(js, engine, self._id, card, settings.slots, settings.presence_interval)
        analyst = Analyst(engine, recipes, Ledger(js, self._id), board, self._id)
        chat = Chat(nc, engine, card, settings)
        service = Service(
            nc, SERVICE, __version__, _DESCRIPTION, {"model": card.name, "worker": self._id}, chat.endpoints()
        )
        queue = Queue(nc, js, settings.slots, analyst.handle)
        mover = Mover(js, self._id)
        for part in (recipes, chat, service, queue, mover, board):
            await part.start()
        log.info("worker_ready", worker=self._id, model=card.name, version=__version__, pid=os.getpid())
        await self._end.wait()
        await self._stop(nc, board, service, chat, queue, mover)

    async def _connect(self) -> Client:
        settings = self._settings
        return await connect(
            settings.nats_url,
            settings.nats_user,
            settings.password,
            name=f"nats-mlx worker {self._id}",
            wait=True,
            closed=self._on_closed,
        )

    async def _stop(
        self, nc: Client, board: PresenceBoard, service: Service, chat: Chat, queue: Queue, mover: Mover
    ) -> None:
        """Take no more work, finish or give back what there is, then leave."""
        log.info("worker_stopping", worker=self._id)
        if self._lost:
            return
        grace = self._settings.shutdown_grace
        await service.close_endpoints()
        await asyncio.gather(queue.stop(grace), mover.stop(), self._finish_chats(service, chat, grace))
        await chat.stop()
        await board.stop()
        await nc.drain()

    async def _finish_chats(self, service: Service, chat: Chat, grace: float) -> None:
        timer = asyncio.get_running_loop().call_later(grace, chat.abort)
        await service.stop(grace + 5)
        timer.cancel()

    def _on_closed(self) -> None:
        if not self._end.is_set():
            log.error(
                "connection_over", hint="the server refused us for good; the supervisor starts us again"
            )
            self._lost = True
            self._end.set()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self._on_signal)

    def _on_signal(self) -> None:
        if self._end.is_set():
            os._exit(130)  # asked twice: at once, the queue gets its work back after the ack wait
        self._end.set()


def main() -> int:
    """Run a worker with the settings of this machine; returns the exit code."""
    settings = Settings.load()
    logs.setup(settings.log_level, settings.log_format)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            return asyncio.run(Worker(settings).run())
        except LlmError as error:
            log.error("worker_failed", error=error.message)
            return 1
        except NatsError as error:
            hint = "is JetStream on, and may this user make streams?"
            log.error("worker_failed", error=f"NATS did not do what a worker needs ({error}): {hint}")
            return 1
    return 130
