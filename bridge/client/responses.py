"""Responses that are kept in `llm_responses`: written once, read by their id, forgotten at their owner's wish."""

from __future__ import annotations

from nats.aio.client import Client

from bridge.client import bucket, stored
from schemas import streams
from schemas.codec import decode, encode
from schemas.errors import TooLarge
from schemas.responses.response import KeptResponse
from schemas.runtime import connection

_BUCKET = streams.RESPONSES


async def get(nc: Client, response_id: str) -> KeptResponse | None:
    """None for one that is gone or never was."""
    connection.require(nc)
    found = await bucket.get(nc, _BUCKET, response_id, stored.at_once)
    return None if found is None else decode(KeptResponse, found.data)


async def put(nc: Client, kept: KeptResponse) -> None:
    """Raises TooLarge, or Unavailable when it is not on the server's disk for sure."""
    check(kept)
    connection.require(nc)
    await bucket.put(nc, _BUCKET, kept.response.id, encode(kept), stored.at_once)


async def delete(nc: Client, response_id: str) -> None:
    """Its bytes go with the marker that takes their place: the bucket has no history."""
    connection.require(nc)
    await bucket.delete(nc, _BUCKET, response_id, stored.at_once)


def check(kept: KeptResponse) -> None:
    """Raises TooLarge for what cannot be kept."""
    if (size := len(encode(kept))) > streams.RESPONSES.max_value_size:
        raise TooLarge(
            f"With its conversation the response has {size} bytes, and {streams.RESPONSES.max_value_size} can be "
            "kept; send the items that matter, with `store: false`.",
            code="response_too_large",
        )
