"""The pull side of the work queue: fetch no more than there is room for, keep it ours while it is in work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext

from schemas import streams
from schemas.runtime import log as logs
from schemas.subjects import LANES, Lane

log = logs.get("worker.queue")

# A fetch that hangs in a reconnect costs this long, and `high` is looked at again this often.
_NORM_WAIT = 1.0
_HIGH_WAIT = 0.02
_BACK_OFF = 1.0


class Queue:
    """Feeds messages of both lanes, `high` first, to `handle`, at most `slots` at once."""

    def __init__(
        self, nc: Client, js: JetStreamContext, slots: int, handle: Callable[[Msg], Awaitable[None]]
    ) -> None:
        self._nc = nc
        self._js = js
        self._slots = slots
        self._handle = handle
        self._work: dict[asyncio.Task[None], Msg] = {}
        self._room = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        self._pulls = {
            lane: await self._js.pull_subscribe_bind(
                consumer=streams.LANE_CONSUMERS[lane].durable_name, stream=streams.ARTICLES.name
            )
            for lane in LANES
        }
        self._loops = [asyncio.create_task(self._pull()), asyncio.create_task(self._keep())]

    async def stop(self, grace: float) -> None:
        """Fetch no more, let what runs finish for `grace` seconds, give the rest back at once."""
        self._stopping = True
        # A fetch is left to end by itself: cancelled, it would leave its pull open on the server.
        self._room.set()
        await asyncio.gather(self._loops[0], return_exceptions=True)
        if self._work:
            await asyncio.wait(self._work, timeout=grace)
        for task, msg in list(self._work.items()):
            task.cancel()
            await msg.nak()
        await asyncio.gather(*self._work, return_exceptions=True)
        self._loops[1].cancel()
        for pull in self._pulls.values():
            await pull.unsubscribe()

    async def _pull(self) -> None:
        while not self._stopping:
            try:
                await self._fetch()
            except NatsError as error:
                log.warning("fetch_failed", error=str(error))
                await asyncio.sleep(_BACK_OFF)

    async def _fetch(self) -> None:
        free = self._slots - len(self._work)
        if free <= 0:
            self._room.clear()
            await self._room.wait()
            return
        taken = await self._fetch_lane("high", free, _HIGH_WAIT)
        if taken < free and not self._stopping:
            await self._fetch_lane("norm", free - taken, _NORM_WAIT)

    async def _fetch_lane(self, lane: Lane, count: int, wait: float) -> int:
        try:
            msgs = await self._pulls[lane].fetch(count, timeout=wait)
        except NatsTimeout:
            return 0
        for msg in msgs:
            task = asyncio.create_task(self._one(msg))
            self._work[task] = msg
            task.add_done_callback(self._ended)
        return len(msgs)

    async def _one(self, msg: Msg) -> None:
        await self._handle(msg)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._work.pop(task, None)
        self._room.set()

    async def _keep(self) -> None:
        """Tell the server that work is in progress before the ack wait runs out."""
        while True:
            await asyncio.sleep(streams.IN_PROGRESS_EVERY)
            for msg in list(self._work.values()):
                try:
                    await msg.in_progress()
                except NatsError as error:
                    log.warning("in_progress_failed", subject=msg.subject, error=str(error))
