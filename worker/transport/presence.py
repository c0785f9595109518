"""Says in `llm_workers` that this worker is there, and sees who else is."""

from __future__ import annotations

import datetime as dt
import os
import platform
import time

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

from schemas import __version__, streams, subjects
from schemas.codec import encode
from schemas.errors import NotFound, Unavailable
from schemas.presence import ModelCard, Presence
from schemas.runtime import log as logs
from schemas.runtime import presence
from worker.engine.catalog import Entry
from worker.engine.counters import Counters
from worker.engine.engine import Engine
from worker.transport.loop import Loop

log = logs.get("worker.presence")


async def clear_away(nc: Client) -> bool:
    """Take down the entries of this machine whose processes are no more; whether there were any. Who leaves takes its
    own down: these have died, a moment ago. Raises Unavailable.
    """
    dead = [one for one in await presence.workers(nc) if one.host == platform.node() and not _lives(one.pid)]
    bucket = await nc.jetstream().key_value(streams.WORKERS.bucket)
    for one in dead:
        log.warning("worker_died", worker=one.worker, pid=one.pid)
        await bucket.delete(one.worker)
    return bool(dead)


def _lives(pid: int) -> bool:
    if pid == os.getpid():  # the first process of a container has the number of the one before
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, but there
        pass
    return True


class PresenceBoard:
    """Renews this worker's entry until it is taken down."""

    def __init__(self, nc: Client, engine: Engine, worker: str, slots: int, interval: float) -> None:
        self._nc = nc
        self._engine = engine
        self._worker = worker
        self._slots = slots
        self._loop = Loop("presence", self._renew, every=interval)
        self._started = dt.datetime.now(dt.UTC)
        self._last = Counters()
        self._bucket: KeyValue

    async def start(self) -> None:
        self._bucket = await self._nc.jetstream().key_value(streams.WORKERS.bucket)
        await self._renew()
        self._loop.start()

    async def stop(self) -> None:
        """Take the entry down, so that nobody counts on this worker any more."""
        await self._loop.stop()
        try:
            await self._bucket.delete(self._worker)
        except NatsError as error:
            log.warning("presence_left_behind", error=str(error))

    def serves(self, model: str) -> bool:
        """Here and now; a model that is configured but faulty is not served."""
        return any(subjects.answers_to(entry.names, model) for entry in self._served())

    async def check(self, model: str | None) -> None:
        """Raises Unavailable for a model that others serve, NotFound for one that nobody does."""
        if model is None or self.serves(model):
            return
        if await self.anyone_serves(model):
            raise Unavailable(f"Another worker serves the model `{model}`.")
        try:
            self._engine.catalog.find(model)  # faulty: the engine says why, and the work waits
        except NotFound:
            raise NotFound(f"No worker serves the model `{model}`.", code="model_not_found") from None

    async def anyone_serves(self, model: str) -> bool:
        return any(one.serves(model) for one in await presence.workers(self._nc))

    def _served(self) -> list[Entry]:
        return [entry for entry in self._engine.catalog if entry.error is None]

    def _cards(self) -> list[ModelCard]:
        loaded = self._engine.loaded
        return [
            ModelCard(entry.name, list(entry.aliases), entry.context, entry.name in loaded)
            for entry in self._served()
        ]

    async def _renew(self) -> None:
        now, last = self._engine.counters.copy(), self._last
        self._last = now
        busy = max(now.busy_seconds - last.busy_seconds, 1e-3)
        entry = Presence(
            worker=self._worker,
            version=__version__,
            pid=os.getpid(),
            host=platform.node(),
            models=self._cards(),
            slots=self._slots,
            running=self._engine.running,
            waiting=self._engine.waiting,
            prompt_tokens_per_second=round((now.prompt_tokens - last.prompt_tokens) / busy, 1),
            decode_tokens_per_second=round((now.decode_tokens - last.decode_tokens) / busy, 1),
            memory_bytes=self._engine.memory_bytes(),
            started_at=self._started,
            updated_at=dt.datetime.now(dt.UTC),
        )
        await self._bucket.put(self._worker, encode(entry))


def worker_id(name: str) -> str:
    """A key of the bucket: the machine's name and what tells two workers on it apart."""
    return f"{subjects.model_token(name)}-{os.getpid()}-{int(time.time())}"
