"""Responses that are kept in `llm_responses`: written once, read by their id, forgotten at their owner's wish."""

from __future__ import annotations

import msgspec
from nats.aio.client import Client

from bridge.client import connection, stored
from schemas import streams
from schemas.codec import decode, encode
from schemas.errors import TooLarge, Unavailable
from schemas.responses.response import KeptResponse

_BUCKET = streams.RESPONSES.bucket
_OPERATION = "KV-Operation"


async def get(nc: Client, response_id: str) -> KeptResponse | None:
    """None for one that is gone or never was."""
    connection.require(nc)
    found = await stored.last(nc, f"KV_{_BUCKET}", _key(response_id), _fail)
    if found is None or _OPERATION in found.headers:
        return None
    return decode(KeptResponse, found.data)


async def put(nc: Client, kept: KeptResponse) -> None:
    """Raises TooLarge, or Unavailable when it is not on the server's disk for sure."""
    check(kept)
    await _write(nc, kept.response.id, encode(kept), {})


async def delete(nc: Client, response_id: str) -> None:
    """Its bytes go with the marker that takes their place: the bucket has no history."""
    await _write(nc, response_id, b"", {_OPERATION: "DEL"})


def check(kept: KeptResponse) -> None:
    """Raises TooLarge for what cannot be kept."""
    if (size := len(encode(kept))) > streams.RESPONSES.max_value_size:
        raise TooLarge(
            f"With its conversation the response has {size} bytes, and {streams.RESPONSES.max_value_size} can be "
            "kept; send the items that matter, with `store: false`.",
            code="response_too_large",
        )


async def _write(nc: Client, response_id: str, data: bytes, headers: dict[str, str]) -> None:
    connection.require(nc)
    reply = await stored.request(nc, _key(response_id), data, headers, _fail)
    fault = msgspec.json.decode(reply.data).get("error")
    if fault:
        raise Unavailable(f"NATS does not keep the response: {fault.get('description')}.")


async def _fail(why: str) -> None:
    """Somebody waits at the other end of HTTP: not for the return of a server."""
    raise Unavailable(f"{why[0].upper()}{why[1:]} at the moment; try again in a few seconds.")


def _key(response_id: str) -> str:
    return f"$KV.{_BUCKET}.{response_id}"
