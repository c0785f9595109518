"""A chat service with the real engine behind it, and callers of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import subjects
from tests.broker.cli.conftest import Server
from tests.model.conftest import Asker
from worker.settings import Settings
from worker.transport import topology
from worker.transport.inference import Inference
from worker.transport.micro import Service
from worker.transport.results import Results
from worker.transport.runs import Runs


@dataclass
class Call:
    """One request, and what came back for it."""

    nc: Client
    id: str
    messages: asyncio.Queue[Msg]
    inbox: Any
    seen: list[Msg] = field(default_factory=list)

    async def next(self) -> Msg:
        self.seen.append(msg := await asyncio.wait_for(self.messages.get(), 60))
        return msg

    async def until_text(self) -> None:
        """Its answer is being written."""
        while not self.text:
            await self.next()

    async def end(self) -> Msg:
        while not (self.seen and _is_last(self.seen[-1])):
            await self.next()
        return self.seen[-1]

    async def cancel(self, **headers: str) -> None:
        await self.nc.publish(subjects.cancel(self.id), b"", headers=headers or None)

    @property
    def status(self) -> str | None:
        headers = self.seen[-1].headers or {}
        return headers.get(subjects.ERROR_CODE) or headers.get(subjects.FINISH)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(msg.data) for msg in self.seen if msg.data]

    @property
    def text(self) -> str:
        choices = [choice for body in self.bodies for choice in body.get("choices", [])]
        parts = [choice["delta"] if "delta" in choice else choice["message"] for choice in choices]
        return "".join(part.get("content") or "" for part in parts)


def _is_last(msg: Msg) -> bool:
    return not msg.data or subjects.SEQ not in (msg.headers or {})


@dataclass
class Desk:
    """A chat service with the real engine behind it, and a caller in front."""

    ask: Asker
    inference: Inference
    runs: Runs
    nc: Client
    ids: Any = field(default_factory=lambda: map("r-{}".format, itertools.count(1)))

    async def call(self, body: dict[str, Any], **headers: str) -> Call:
        call = Call(self.nc, next(self.ids), asyncio.Queue(), self.nc.new_inbox())

        async def keep(msg: Msg) -> None:
            call.messages.put_nowait(msg)

        inbox, call.inbox = call.inbox, await self.nc.subscribe(call.inbox, cb=keep)
        headers |= {subjects.REQUEST_ID: call.id}
        await self.nc.publish(subjects.CHAT, msgspec.json.encode(body), reply=inbox, headers=headers)
        return call

    @asynccontextmanager
    async def inferences(self, count: int) -> AsyncIterator[None]:
        """So many answers are computed to their end within."""
        before = self.ask.engine.counters.jobs
        yield
        assert self.ask.engine.counters.jobs - before == count


@asynccontextmanager
async def opened(server: Server, ask: Asker, keep: bool = False, **settings: Any) -> AsyncIterator[Desk]:
    worker, publisher = await server.connect("worker"), await server.connect("publisher")
    await topology.ensure(worker.jetstream())
    results = Results(worker.jetstream())
    await results.start()
    runs = Runs(ask.engine, results if keep else None)
    inference = Inference(worker, ask.engine, runs, Settings.load(**{"abandon_grace": 0} | settings))
    service = Service(worker, subjects.SERVICE, "1.0.0", "test", {}, inference.endpoints())
    for part in (inference, service):
        await part.start()
    await asyncio.sleep(0)  # else the flush could overtake the subscriptions
    await worker.flush()
    yield Desk(ask, inference, runs, publisher)
    await service.close_endpoints()
    await service.stop(5)
    await inference.stop()
    await publisher.close()
    await worker.close()
    assert server.denied == []
