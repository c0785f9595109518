"""Batches in `llm_batches`, changed by whoever saw their last state; and the jobs of looking after them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.errors import ServiceUnavailableError

from bridge.client import bucket, enqueue, stored
from bridge.client.bucket import Meanwhile
from bridge.client.gate import ClosedGate
from bridge.client.stored import Hold
from schemas import streams, subjects
from schemas.batches import Batch, KeptBatch
from schemas.codec import decode, encode
from schemas.errors import BadRequest, NotFound, Unavailable
from schemas.runtime import log

_log = log.get("bridge.batches")

_BUCKET = streams.BATCH_BUCKET
_ID = re.compile(r"batch_[0-9a-f]{32}")
_AGAIN = 0.1
_FETCH = 5.0

Step = Callable[[KeptBatch], KeptBatch]


class _Held(NamedTuple):
    kept: KeptBatch
    revision: int


async def create(nc: Client, kept: KeptBatch) -> None:
    """The job first: it carries the batch, so that one that is on its way cannot be forgotten."""
    await enqueue.publish(nc, subjects.batch(kept.batch.id), encode(kept), {}, ClosedGate())
    await admit(nc, kept, stored.at_once)


async def admit(nc: Client, kept: KeptBatch, hold: Hold) -> None:
    """Put it into the bucket, unless it is there."""
    with contextlib.suppress(Meanwhile):
        await bucket.put(nc, _BUCKET, kept.batch.id, encode(kept), hold, after=0)


async def get(nc: Client, batch_id: str, hold: Hold = stored.at_once) -> KeptBatch:
    """Raises NotFound."""
    return (await _held(nc, batch_id, hold)).kept


async def change(nc: Client, batch_id: str, step: Step, hold: Hold = stored.patiently) -> KeptBatch:
    """Take a step from whatever state it is in by then; the state after it. Raises what `step` does."""
    while True:
        held = await _held(nc, batch_id, hold)
        wanted = step(held.kept)
        if wanted == held.kept:
            return wanted
        try:
            await bucket.put(nc, _BUCKET, batch_id, encode(wanted), hold, after=held.revision)
            return wanted
        except Meanwhile:
            await asyncio.sleep(_AGAIN)


async def every(nc: Client) -> list[Batch]:
    """Newest first."""
    kept = [_kept(key, one.data) for key, one in (await bucket.every(nc, _BUCKET)).items()]
    found = [one.batch for one in kept if one is not None]
    return sorted(found, key=lambda batch: (batch.created_at, batch.id), reverse=True)


def _kept(key: str, data: bytes) -> KeptBatch | None:
    """None for what is no batch, or of a version that this one does not know: it is no reason to show no other."""
    try:
        return decode(KeptBatch, data)
    except BadRequest as error:
        _log.warning("batch_unknown", batch=key, reason=error.message)
        return None


async def _held(nc: Client, batch_id: str, hold: Hold) -> _Held:
    # Whatever is no id of ours is in no subject of ours either.
    found = await bucket.get(nc, _BUCKET, batch_id, hold) if _ID.fullmatch(batch_id) else None
    if found is None:
        raise NotFound(f"No batch found with id '{batch_id}'.", param="id", code="batch_not_found")
    return _Held(decode(KeptBatch, found.data), found.sequence)


class Job:
    """A batch that is ours to look after, as long as we say so in time."""

    def __init__(self, msg: Msg) -> None:
        self._msg = msg
        self.batch_id = msg.subject.rpartition(".")[2]

    def born(self) -> KeptBatch | None:
        """The batch as it was when it was sent; None for what is none."""
        try:
            return decode(KeptBatch, self._msg.data)
        except BadRequest:
            return None

    async def keep(self) -> None:
        """What does not arrive is said again in time."""
        with contextlib.suppress(Error):
            await self._msg.in_progress()

    async def done(self) -> None:
        """What is not confirmed comes again, and is over then."""
        with contextlib.suppress(Error):
            await self._msg.ack_sync(timeout=5)

    async def give_back(self, seconds: float = 0) -> None:
        with contextlib.suppress(Error):
            await self._msg.nak(delay=seconds or None)


class Jobs:
    """The consumer `keeper`, of which every bridge takes what no other has."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._pull: JetStreamContext.PullSubscription | None = None

    async def next(self) -> Job | None:
        """None when none came for a while. Raises Unavailable when none can come."""
        try:
            if self._pull is None:
                self._pull = await self._nc.jetstream().pull_subscribe_bind(
                    consumer=streams.KEEPER.durable_name, stream=streams.KEEPER.stream
                )
            (msg,) = await self._pull.fetch(1, timeout=_FETCH)
        except TimeoutError:
            return None
        except ServiceUnavailableError:
            raise stored.no_queue("nobody answers for batches") from None
        except Error as error:
            raise Unavailable(f"NATS gives this bridge no batches ({error}).") from None
        return Job(msg)

    async def stop(self) -> None:
        if self._pull is not None:
            with contextlib.suppress(Error):
                await self._pull.unsubscribe()
