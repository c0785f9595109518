"""Files of batches, and a worker that is the real one but for its engine, which answers at once."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
from msgspec.structs import replace
from nats.aio.client import Client
from nats.js.errors import KeyWrongLastSequenceError
from quick import MODEL, QuickEngine

from schemas import streams
from schemas.batches import KeptBatch
from schemas.codec import decode, encode
from schemas.completion import ChatCompletion, Choice, ReplyMessage, Usage
from tests.until import seen
from worker.engine.engine import Engine
from worker.transport.batch_line import LineHandler
from worker.transport.outcomes import Outcomes
from worker.transport.presence import PresenceBoard
from worker.transport.queue import Queue
from worker.transport.runs import Runs

OVER = {"failed", "completed", "expired", "cancelled"}
CHAT = "/v1/chat/completions"


USER = {"role": "user", "content": "hi"}
ASKED = {
    CHAT: {"messages": [USER]},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": ["hi", "ho"]},
}


def line(custom_id: str, url: str = CHAT, **body: object) -> dict[str, Any]:
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": url,
        "body": {"model": MODEL, **ASKED[url], **body},
    }


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def parsed(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(one) for one in text.splitlines()]


def form(content: bytes | Any, **fields: str) -> aiohttp.FormData:
    told = aiohttp.FormData()
    for name, value in ({"purpose": "batch"} | fields).items():
        told.add_field(name, value)
    told.add_field(
        "file",
        io.BytesIO(content) if isinstance(content, bytes) else content,
        filename="in.jsonl",
        content_type="application/jsonl",
    )
    return told


class Api:
    """What a client of the bridge does."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        if isinstance(data := more.get("data"), aiohttp.FormData):
            # The session of the tests says of all it sends that it is JSON.
            more["data"] = body = data()
            more["headers"] = {"Content-Type": body.content_type}
        async with self.http.request(method, path, **more) as answer:
            return answer.status, await answer.json()

    async def upload(self, content: bytes | Any, **fields: str) -> dict[str, Any]:
        status, found = await self.ask("POST", "/v1/files", data=form(content, **fields))
        assert status == 200, found
        return cast(dict[str, Any], found)

    async def content(self, file_id: str) -> bytes:
        async with self.http.get(f"/v1/files/{file_id}/content") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def begin(self, file_id: str, endpoint: str = CHAT, **more: object) -> dict[str, Any]:
        asked = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h"} | more
        status, found = await self.ask("POST", "/v1/batches", json=asked)
        assert status == 200, found
        assert found["status"] == "validating"
        return cast(dict[str, Any], found)

    async def batch(self, batch_id: str) -> dict[str, Any]:
        status, found = await self.ask("GET", f"/v1/batches/{batch_id}")
        assert status == 200, found
        return cast(dict[str, Any], found)

    async def until(self, batch_id: str, *states: str) -> dict[str, Any]:
        return await seen(
            lambda: self.batch(batch_id), lambda found: found["status"] in (states or OVER), within=60
        )


@contextlib.asynccontextmanager
async def working(nc: Client, slots: int = 16, engine: Any = None) -> AsyncIterator[None]:
    js, real = nc.jetstream(), cast(Engine, engine or QuickEngine())
    board = PresenceBoard(nc, real, "quick", slots, 5)
    lines = LineHandler(real, Runs(real, None), Outcomes(js), board)
    queue = Queue(nc, js, slots, {streams.BATCH_LINES.name: lines.handle})
    await board.start()
    await queue.start()
    try:
        yield
    finally:
        await queue.stop(0)
        await board.stop()


async def answer_one(worker: Client) -> None:
    """As a worker does."""
    js = worker.jetstream()
    pull = await js.pull_subscribe_bind("batch-lines", "BATCH_LINES")
    (msg,) = await pull.fetch(1, timeout=5)
    message = ReplyMessage("by hand")
    told = ChatCompletion("chatcmpl-1", 1, "quick", [Choice(0, message, "stop")], Usage(1, 1, 2))
    outcomes = Outcomes(js)
    await outcomes.answer(msg, "r", told)
    await outcomes.settle(msg)
    await pull.unsubscribe()


async def let_expire(operator: Client, batch_id: str) -> None:
    bucket = await operator.jetstream().key_value("llm_batches")
    while True:
        entry = await bucket.get(batch_id)
        kept = decode(KeptBatch, entry.value or b"")
        old = replace(kept, batch=replace(kept.batch, expires_at=kept.batch.created_at))
        with contextlib.suppress(KeyWrongLastSequenceError):
            await bucket.update(batch_id, encode(old), entry.revision)
            return
