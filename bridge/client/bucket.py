"""One key of a bucket: read, written, marked as gone; by plain requests, as streams are read."""

from __future__ import annotations

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from bridge.client.stored import Hold, Stored
from schemas.errors import Unavailable

_OPERATION = "KV-Operation"


async def get(nc: Client, bucket: str, key: str, hold: Hold = stored.patiently) -> Stored | None:
    """None for one that is gone or never was."""
    found = await stored.last(nc, f"KV_{bucket}", _subject(bucket, key), hold)
    return None if found is None or _OPERATION in found.headers else found


async def every(nc: Client, bucket: str) -> dict[str, Stored]:
    """What each key holds now, in the order of the keys. For whoever may read all of the bucket."""
    newest = {
        message.subject.rpartition(".")[2]: message
        async for message in stored.read(nc, f"KV_{bucket}", _subject(bucket, "*"))
    }
    return {key: found for key, found in sorted(newest.items()) if _OPERATION not in found.headers}


async def put(nc: Client, bucket: str, key: str, data: bytes, hold: Hold = stored.patiently) -> int:
    """Its revision. Raises Unavailable when it is not on the server's disk for sure."""
    return await _write(nc, bucket, key, data, {}, hold)


async def delete(nc: Client, bucket: str, key: str, hold: Hold = stored.patiently) -> None:
    await _write(nc, bucket, key, b"", {_OPERATION: "DEL"}, hold)


async def _write(nc: Client, bucket: str, key: str, data: bytes, headers: dict[str, str], hold: Hold) -> int:
    reply = await stored.request(nc, _subject(bucket, key), data, headers, hold)
    answer = msgspec.json.decode(reply.data)
    if fault := answer.get("error"):
        raise Unavailable(f"NATS did not write `{key}` of {bucket}: {fault.get('description')}.")
    return int(answer["seq"])


def _subject(bucket: str, key: str) -> str:
    return f"$KV.{bucket}.{key}"
