"""Analyses and dead letters at the moment when they are stored; only an operator may listen there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from schemas import streams, subjects


class Ending(NamedTuple):
    """`analysis` is None for a dead letter; `at` is of the monotonic clock."""

    token: str
    analysis: bytes | None
    at: float


class Endings:
    """Iterates over them as they come."""

    def __init__(self) -> None:
        self._found: asyncio.Queue[Ending] = asyncio.Queue()

    def __aiter__(self) -> Endings:
        return self

    async def __anext__(self) -> Ending:
        return await self._found.get()

    async def hear(self, msg: Msg) -> None:
        kind, *_, token = msg.subject.split(".")
        self._found.put_nowait(Ending(token, msg.data if kind == "analyses" else None, time.monotonic()))


@contextlib.asynccontextmanager
async def endings(nc: Client, recipe: str) -> AsyncIterator[Endings]:
    heard = Endings()
    places = (subjects.analysis(recipe, "*"), subjects.dead(streams.ARTICLES.name, recipe, "*"))
    inboxes = [await nc.subscribe(place, cb=heard.hear) for place in places]
    await nc.flush()
    try:
        yield heard
    finally:
        with contextlib.suppress(Error):  # with the connection, they are gone as well
            for inbox in inboxes:
                await inbox.unsubscribe()
