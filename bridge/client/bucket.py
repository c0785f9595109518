"""One key of a bucket: read, written, marked as gone; by plain requests, as streams are read."""

from __future__ import annotations

from nats.aio.client import Client

from bridge.client import stored
from bridge.client.stored import Hold, NotStored, Stored
from schemas import streams, subjects
from schemas.jetstream import EXPECTED_LAST, WRONG_LAST_SEQUENCE
from schemas.streams import Bucket

_OPERATION = "KV-Operation"


class Meanwhile(Exception):
    """Somebody else was faster."""


async def get(nc: Client, bucket: Bucket, key: str, hold: Hold = stored.patiently) -> Stored | None:
    """None for one that is gone or never was."""
    found = await stored.last(nc, streams.stream_of(bucket), subjects.key(bucket.bucket, key), hold)
    return None if found is None or _OPERATION in found.headers else found


async def every(nc: Client, bucket: Bucket) -> dict[str, Stored]:
    """What each key holds now, in the order of the keys. For whoever may read all of the bucket."""
    newest = {
        message.subject.rpartition(".")[2]: message
        async for message in stored.read(nc, streams.stream_of(bucket), subjects.key(bucket.bucket, "*"))
    }
    return {key: found for key, found in sorted(newest.items()) if _OPERATION not in found.headers}


async def put(
    nc: Client,
    bucket: Bucket,
    key: str,
    data: bytes,
    hold: Hold = stored.patiently,
    *,
    after: int | None = None,
) -> int:
    """Its revision. Raises Unavailable when it is not on the server's disk for sure.

    Where `after` is given, a revision (0: none so far), it raises Meanwhile when there is another one.
    """
    headers = {} if after is None else {EXPECTED_LAST: str(after)}
    try:
        return await stored.put(nc, subjects.key(bucket.bucket, key), data, headers, hold)
    except NotStored as error:
        if error.fault != WRONG_LAST_SEQUENCE:
            raise
        raise Meanwhile from None


async def delete(nc: Client, bucket: Bucket, key: str, hold: Hold = stored.patiently) -> None:
    await stored.put(nc, subjects.key(bucket.bucket, key), b"", {_OPERATION: "DEL"}, hold)
