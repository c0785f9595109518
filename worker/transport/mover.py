"""Moves work that used up its deliveries to where it ends: JetStream only hides it, and tells in an advisory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from schemas import streams
from schemas.articles import MAX_DELIVERIES
from schemas.errors import EngineFailed
from schemas.runtime import log as logs
from worker.transport.ends import Ends, Original
from worker.transport.loop import Loop

log = logs.get("worker.mover")


class _Advisory(msgspec.Struct):
    """The part of JetStream's max_deliver and terminated advisories that matters here."""

    stream: str
    stream_seq: int
    deliveries: int


class Mover:
    """Every worker runs one; the consumer `mover` gives each advisory to one of them. `ends` are by stream."""

    def __init__(self, js: JetStreamContext, ends: Mapping[str, Ends]) -> None:
        self._js = js
        self._ends = ends
        self._mover = Loop("mover", self._step)
        self._sweeper = Loop("sweeper", self._sweep, every=streams.ACK_WAIT)

    async def start(self) -> None:
        self._pull = await self._js.pull_subscribe_bind(
            consumer=streams.MOVER.durable_name, stream=streams.DEAD_EVENTS.name
        )
        self._mover.start()
        self._sweeper.start()

    async def stop(self) -> None:
        await asyncio.gather(self._mover.stop(), self._sweeper.stop())
        await self._pull.unsubscribe()

    async def _step(self) -> None:
        try:
            # One at a time: one that cannot be moved now must not hold others until its next delivery.
            [msg] = await self._pull.fetch(1, timeout=1)
        except TimeoutError:
            return  # there is none
        await self._hear(msg)

    async def _hear(self, msg: Msg) -> None:
        try:
            event = msgspec.json.decode(msg.data, type=_Advisory)
            found = await self._js.get_msg(event.stream, event.stream_seq)
        except msgspec.DecodeError as error:
            log.error("advisory_unreadable", subject=msg.subject, error=str(error))
        except NotFoundError:
            log.debug("advisory_late", sequence=event.stream_seq)  # settled meanwhile, or removed by hand
        else:
            await self._move(event.stream, found, event.deliveries)
        await msg.ack_sync()

    async def _sweep(self) -> None:
        """An advisory is lost with a server that dies before it has stored it. What lies below a consumer's
        ack floor is neither waiting nor in work: it was given up.
        """
        for work in streams.WORK_CONSUMERS:
            info = await self._js.consumer_info(work.stream, work.durable_name)
            floor = info.ack_floor.stream_seq if info.ack_floor else 0
            while found := await self._first(work):
                if (found.seq or 0) > floor:
                    break
                await self._move(work.stream, found, work.max_deliver)

    async def _first(self, work: streams.Consumer) -> RawStreamMsg | None:
        try:
            return await self._js.get_msg(work.stream, 1, subject=work.filter_subject or ">", next=True)
        except NotFoundError:
            return None

    async def _move(self, stream: str, found: RawStreamMsg, deliveries: int) -> None:
        # Its last worker may have died between storing its end and letting it go.
        ends, original = self._ends[stream], Original.stored(stream, found, deliveries)
        if not await ends.ended(original):
            sentence = f"Delivered {deliveries} times, and no worker lived to finish it."
            await ends.bury(original, EngineFailed(sentence, code=MAX_DELIVERIES))
        await ends.remove(stream, original.sequence)
