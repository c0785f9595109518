"""Moves articles that used up their deliveries to DEAD: JetStream only hides them, and tells in an advisory."""

from __future__ import annotations

import msgspec
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from schemas import streams
from schemas.runtime import log as logs
from worker.transport.ledger import Ledger, Original
from worker.transport.loop import Loop

log = logs.get("worker.mover")


class _Advisory(msgspec.Struct):
    """The part of JetStream's max_deliver and terminated advisories that matters here."""

    stream: str
    stream_seq: int
    deliveries: int


class Mover:
    """Every worker runs one; the consumer `mover` gives each advisory to one of them."""

    def __init__(self, js: JetStreamContext, ledger: Ledger) -> None:
        self._js = js
        self._ledger = ledger
        self._loop = Loop("mover", self._step)

    async def start(self) -> None:
        self._pull = await self._js.pull_subscribe_bind(
            consumer=streams.MOVER.durable_name, stream=streams.DEAD_EVENTS.name
        )
        self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()
        await self._pull.unsubscribe()

    async def _step(self) -> None:
        # One at a time: one that cannot be moved now must not hold others until its next delivery.
        for msg in await self._pull.fetch(1, timeout=1):
            await self._move(msg)

    async def _move(self, msg: Msg) -> None:
        event = msgspec.json.decode(msg.data, type=_Advisory)
        try:
            found = await self._js.get_msg(event.stream, event.stream_seq)
        except NotFoundError:
            await msg.ack_sync()  # settled meanwhile, or its terminator took care of it
            return
        # Its last worker may have died between storing its end and letting it go.
        if not await self._ledger.ended(found):
            article = Original(found.subject or "", event.stream_seq, found.data or b"", event.deliveries)
            sentence = f"Delivered {event.deliveries} times, and no worker lived to finish it."
            await self._ledger.bury(article, sentence, "max_deliveries")
        await self._js.delete_msg(event.stream, event.stream_seq)
        await msg.ack_sync()
