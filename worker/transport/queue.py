"""The pull side of the work queue: fetch no more than there is room for, keep it ours while it is in work."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from schemas import streams
from schemas.runtime import log as logs
from schemas.runtime import tasks
from schemas.streams import Consumer
from worker.transport import suspects
from worker.transport.loop import Loop

log = logs.get("worker.queue")

# A fetch that hangs in a reconnect costs this long, and `high` is looked at again this often.
_LAST_WAIT = 1.0
_WAIT = 0.02
_REST_WAIT = 0.2  # longer than a slow network's round trip
_FIRST = streams.LANE_CONSUMERS["high"]

Handle = Callable[[Msg], Awaitable[None]]


class Queue:
    """Feeds messages of every consumer to the handler of their stream, at most `slots` at once. `high` comes first;
    the others take turns, so that whoever sent more cannot keep the others waiting.

    What is held when a worker dies has used up a delivery. So none is fetched that would only wait until a suspect
    has run in its small company: that one comes at the head, again and again, and would take its neighbours along to
    DEAD. And a `careful` queue, of a worker whose kind has just died, begins small and widens by one with each end:
    where workers die often, what is begun gets done.
    """

    def __init__(
        self,
        nc: Client,
        js: JetStreamContext,
        slots: int,
        handlers: Mapping[str, Handle],
        *,
        careful: bool = False,
    ) -> None:
        self._nc = nc
        self._js = js
        self._slots = slots
        self._width = min(slots, suspects.SMALL_COMPANY) if careful else slots
        self._handlers = handlers
        self._turns = deque(one for one in streams.WORK_CONSUMERS if one is not _FIRST)
        self._work: dict[asyncio.Task[None], Msg] = {}
        self._room = asyncio.Event()
        self._puller = Loop("pull", self._fetch)
        self._keeper = Loop("keep", self._keep, every=streams.IN_PROGRESS_EVERY)

    async def start(self) -> None:
        self._pulls: dict[str, JetStreamContext.PullSubscription] = {
            one.durable_name: await self._js.pull_subscribe_bind(consumer=one.durable_name, stream=one.stream)
            for one in streams.WORK_CONSUMERS
        }
        self._puller.start()
        self._keeper.start()

    async def stop(self, grace: float) -> None:
        """Fetch no more, let what runs finish for `grace` seconds, give the rest back at once."""
        self._room.set()
        await self._puller.stop()
        await self._arrived()
        await self._take_late()
        if self._work:
            await asyncio.wait(self._work, timeout=grace)
        left = dict(self._work)
        await tasks.end(*left)
        for msg in left.values():
            await self._give_back(msg)
        await self._keeper.stop()
        for pull in self._pulls.values():
            await pull.unsubscribe()

    async def _arrived(self) -> None:
        """What the server has sent so far is here: the rest of a pull must not get lost on its way."""
        if self._nc.is_connected:
            with contextlib.suppress(NatsError, TimeoutError):
                await self._nc.flush(timeout=1)

    async def _give_back(self, msg: Msg) -> None:
        try:
            await msg.nak()
        except NatsError as error:
            # Settled in its last moment, or the connection is gone: then the ack wait gives it back.
            log.debug("not_given_back", subject=msg.subject, error=str(error))

    @property
    def _free(self) -> int:
        return min([self._width, *map(suspects.company, self._work.values())]) - len(self._work)

    async def _fetch(self) -> None:
        await self._take_late()
        if self._free <= 0:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WAIT):  # then look for late ones again
                    await self._room.wait()
            return
        self._turns.rotate()
        for one in (_FIRST, *self._turns):
            wait = _LAST_WAIT if one is self._turns[-1] else _WAIT
            # One first. The server delivers what comes again before what is new: it tells what the others are.
            if self._free > 0 and not self._puller.stopping and await self._fetch_from(one, 1, wait):
                await self._fetch_from(one, self._free, _REST_WAIT)

    async def _take_late(self) -> None:
        """What came after its fetch had given up. It is ours already, and nobody else keeps it in progress."""
        for one in streams.WORK_CONSUMERS:
            while self._pulls[one.durable_name].pending_bytes:  # the server's words about pulls have none
                await self._fetch_from(one, 1, _WAIT)

    async def _fetch_from(self, one: Consumer, count: int, wait: float) -> int:
        if count <= 0:
            return 0
        try:
            msgs = await self._pulls[one.durable_name].fetch(count, timeout=wait)
        except TimeoutError:
            return 0
        for msg in sorted(msgs, key=suspects.deliveries):
            if _place(msg) in map(_place, self._work.values()):
                # We slept or were cut off past the ack wait, and are still at it: what we say of the one that we
                # have holds for this one too.
                log.info("delivered_again", subject=msg.subject)
                continue
            task = asyncio.create_task(self._one(msg))
            self._work[task] = msg
            task.add_done_callback(self._ended)
        return len(msgs)

    async def _one(self, msg: Msg) -> None:
        await self._handlers[msg.metadata.stream](msg)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._work.pop(task, None)
        self._width = min(self._slots, self._width + 1)
        self._room.set()

    async def _keep(self) -> None:
        """Tell the server that work is in progress before the ack wait runs out."""
        for msg in list(self._work.values()):
            await msg.in_progress()


def _place(msg: Msg) -> tuple[str, int]:
    return msg.metadata.stream, msg.metadata.sequence.stream
