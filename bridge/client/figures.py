"""What the workers have counted, asked for now: each answers for itself, so every bridge tells the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from schemas import subjects
from schemas.codec import decode
from schemas.errors import BadRequest
from schemas.figures import WorkerFigures
from schemas.runtime import log

_log = log.get("bridge.figures")
# A worker that hangs or has just died must not hold up the others' figures.
_PATIENCE = 1.0


class _Endpoint(msgspec.Struct):
    data: WorkerFigures | None = None


class _Stats(msgspec.Struct):
    """The part of a service's statistics that matters here."""

    metadata: dict[str, str]
    endpoints: list[_Endpoint]


async def of(nc: Client, workers: Collection[str]) -> dict[str, WorkerFigures]:
    """By worker; who does not answer in time, or says what this bridge does not know, is missing."""
    found: dict[str, WorkerFigures] = {}
    if not workers:
        return found
    inbox = await nc.subscribe(nc.new_inbox())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await nc.publish(subjects.STATS, reply=inbox.subject)
                while not found.keys() >= set(workers):
                    found |= _read(await inbox.next_msg(_PATIENCE))
    finally:
        with contextlib.suppress(Error):
            await inbox.unsubscribe()
    return found


def _read(message: Msg) -> dict[str, WorkerFigures]:
    if not message.data:
        return {}  # the server's word that nobody listens
    try:
        stats = decode(_Stats, message.data)
    except BadRequest as error:
        _log.warning("figures_unknown", reason=error.message)
        return {}
    data = next((endpoint.data for endpoint in stats.endpoints if endpoint.data is not None), None)
    return {} if data is None else {stats.metadata.get("worker", ""): data}
