"""The house at a glance: who works, what they have counted, how the queue stands. All of it is NATS's word."""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.client import Client

from bridge.client import figures, queue
from bridge.client.census import Census
from bridge.client.queue import QueueState
from schemas.errors import Unavailable
from schemas.figures import WorkerFigures
from schemas.presence import Presence
from schemas.runtime import presence, tasks

_PATIENCE = 8.0


class Overview(msgspec.Struct, frozen=True):
    """`figures` are by worker, of those that answered."""

    workers: list[Presence]
    figures: dict[str, WorkerFigures]
    queue: QueueState


class Observer:
    """Looks as often as it is asked to."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._census = Census(nc)

    async def look(self) -> Overview:
        """Raises Unavailable when NATS does not answer, or no worker has ever made the queue."""
        try:
            async with asyncio.timeout(_PATIENCE):
                async with tasks.together() as group:
                    workers = group.create_task(self._workers())
                    state = group.create_task(queue.state(self._nc, self._census))
        except TimeoutError:
            raise Unavailable("NATS does not answer in time; try again.") from None
        return Overview(*workers.result(), state.result())

    async def _workers(self) -> tuple[list[Presence], dict[str, WorkerFigures]]:
        workers = await presence.workers(self._nc)
        return workers, await figures.of(self._nc, [one.worker for one in workers])
