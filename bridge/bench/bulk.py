"""The articles' requests as one of OpenAI's batches over HTTP: from the upload to the output file."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import msgspec

from bridge.bench import talk
from schemas.batches import OVER
from schemas.codec import encode
from schemas.completion import Usage
from schemas.errors import EngineFailed

_LOOK_EVERY = 0.5
_ENDPOINT = "/v1/chat/completions"


async def run(url: str, requests: list[dict[str, Any]]) -> tuple[float, list[Usage]]:
    """Seconds from the upload to the completed batch, and the tokens of each line.

    Raises EngineFailed when a line has no answer.
    """
    async with talk.http(url) as session:
        started = time.monotonic()
        batch = await _begin(session, requests)
        while batch["status"] not in OVER:
            await asyncio.sleep(_LOOK_EVERY)
            batch = await _json(session.get(f"/v1/batches/{batch['id']}"))
        seconds = time.monotonic() - started
        if batch["request_counts"]["completed"] != len(requests):
            raise EngineFailed(f"The batch ended as {batch['status']} with {batch['request_counts']}.")
        async with session.get(f"/v1/files/{batch['output_file_id']}/content") as response:
            return seconds, [_usage(line) for line in (await response.read()).splitlines()]


async def _begin(session: aiohttp.ClientSession, requests: list[dict[str, Any]]) -> dict[str, Any]:
    form = aiohttp.FormData({"purpose": "batch"})
    lines = b"\n".join(_line(at, request) for at, request in enumerate(requests))
    form.add_field("file", lines, filename="articles.jsonl", content_type="application/jsonl")
    file = await _json(session.post("/v1/files", data=form))
    asked = {"input_file_id": file["id"], "endpoint": _ENDPOINT, "completion_window": "24h"}
    return await _json(session.post("/v1/batches", json=asked))


def _line(at: int, request: dict[str, Any]) -> bytes:
    return encode({"custom_id": f"a{at}", "method": "POST", "url": _ENDPOINT, "body": request})


async def _json(asking: Any) -> dict[str, Any]:
    async with asking as response:
        body = await response.read()
    if response.status != 200:
        raise EngineFailed(f"The bridge said {response.status}: {body[:200].decode()}")
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


def _usage(line: bytes) -> Usage:
    return msgspec.convert(msgspec.json.decode(line)["response"]["body"]["usage"], Usage)
