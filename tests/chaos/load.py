"""Articles onto the queue with the publisher's own code, which must bring every one of them through."""

from __future__ import annotations

import asyncio
import json
import zlib

from nats.aio.client import Client

from bridge.client import articles
from bridge.client.articles import Target
from bridge.client.gate import Gate
from schemas.errors import LlmError
from schemas.subjects import Lane


def article(id: str, body: str = "") -> bytes:
    """Its text is its own: equal ones would share one inference."""
    return json.dumps({"id": id, "title": f"Article {id}", "body": body or f"The body of {id}."}).encode()


class Publisher:
    """Sends, and goes on after what a person would answer by trying again. `said` has what they would have read."""

    def __init__(self, nc: Client) -> None:
        self.accepted: list[str] = []
        self.said: list[str] = []
        self._nc = nc
        self._gate = Gate(self.said.append)

    async def send(self, id: str, body: str = "", lane: Lane = "norm") -> None:
        """Until the server has it."""
        outgoing = articles.prepare(article(id, body), Target(lane=lane))
        while True:
            try:
                await articles.publish(self._nc, outgoing, self._gate)
            except LlmError as error:
                self.said.append(error.message)
                await asyncio.sleep(0.2)
            else:
                self.accepted.append(id)
                return

    async def send_all(self, ids: list[str], every: float = 0.0, at_once: int = 16) -> None:
        """`every` seconds one, so that the load lasts as long as the faults; else as fast as it goes."""
        free = asyncio.Semaphore(at_once)

        async def one(id: str) -> None:
            async with free:
                await self.send(id, lane="high" if zlib.crc32(id.encode()) % 10 == 0 else "norm")

        async with asyncio.TaskGroup() as tasks:
            for id in ids:
                tasks.create_task(one(id))
                if every:
                    await asyncio.sleep(every)
