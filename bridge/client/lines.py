"""Lines of batches on the work queue, and their results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from nats.aio.client import Client

from bridge.client import enqueue, stored
from bridge.client.gate import Gate
from bridge.client.stored import Stored
from schemas import streams, subjects

_RESULTS = streams.BATCH_RESULTS.name


class Outgoing(NamedTuple):
    """A line's request to a worker; lines count from 1."""

    number: int
    payload: bytes


async def send(nc: Client, batch_id: str, api: str, found: Sequence[Outgoing], gate: Gate) -> None:
    """Onto the queue, all at once. One that waits there already stays; one that is done is seen to be by its worker."""
    headers = {subjects.API: api}
    await asyncio.gather(
        *(
            enqueue.publish(nc, subjects.batch_line(batch_id, one.number), one.payload, headers, gate)
            for one in found
        )
    )


async def withdraw(nc: Client, batch_id: str) -> None:
    """Off the queue. What a worker has in work already, it ends for nobody."""
    await stored.purge(nc, streams.BATCH_LINES.name, subjects.batch_line(batch_id, "*"))


async def results(nc: Client, batch_id: str, numbers: Sequence[int]) -> dict[int, bytes]:
    """Of these lines, as far as they have one."""
    places = {subjects.batch_result(batch_id, number): number for number in numbers}
    found = await stored.several(nc, _RESULTS, list(places))
    return {places[subject]: message.data for subject, message in found.items()}


async def since(nc: Client, batch_id: str, cursor: int) -> AsyncIterator[Stored]:
    """Results above the cursor, a sequence, that are there now."""
    async for message in stored.read(nc, _RESULTS, subjects.batch_result(batch_id, "*"), cursor + 1):
        yield message


async def forget(nc: Client, batch_id: str) -> None:
    """Remove the results."""
    await stored.purge(nc, _RESULTS, subjects.batch_result(batch_id, "*"))
