"""Moves articles that used up their deliveries to DEAD: JetStream only hides them, and tells in an advisory."""

from __future__ import annotations

import datetime as dt

import msgspec
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from schemas import streams, subjects
from schemas.articles import MAX_DELIVERIES, DeadLetter, Earlier, wants_replacement
from schemas.runtime import log as logs
from worker.transport.loop import Loop

log = logs.get("worker.mover")


class _Advisory(msgspec.Struct):
    """The part of JetStream's max_deliver and terminated advisories that matters here."""

    stream: str
    stream_seq: int
    deliveries: int


class Mover:
    """Every worker runs one; the consumer `mover` gives each advisory to one of them."""

    def __init__(self, js: JetStreamContext, worker: str) -> None:
        self._js = js
        self._worker = worker
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
        for msg in await self._pull.fetch(16, timeout=1):
            await self._move(msg)

    async def _move(self, msg: Msg) -> None:
        event = msgspec.json.decode(msg.data, type=_Advisory)
        try:
            original = await self._js.get_msg(event.stream, event.stream_seq)
        except NotFoundError:
            await msg.ack_sync()  # settled meanwhile, or its terminator took care of it
            return
        subject = original.subject or ""
        earlier = Earlier.of(original.headers)
        letter = DeadLetter(
            subject=subject,
            stream=event.stream,
            sequence=event.stream_seq,
            reason=MAX_DELIVERIES,
            error=f"Delivered {event.deliveries} times, and no worker lived to finish it.",
            attempts=earlier.attempts + event.deliveries,
            worker=self._worker,
            failed_at=dt.datetime.now(dt.UTC),
            first_published=earlier.first_published or original.time,
            replace=wants_replacement(original.headers),
        )
        headers = letter.headers()
        await self._js.publish(
            subjects.dead_article(event.stream, subject), original.data or b"", headers=headers
        )
        await self._js.delete_msg(event.stream, event.stream_seq)
        await msg.ack_sync()
        log.warning("article_dead", subject=subject, reason=letter.reason, attempts=letter.attempts)
