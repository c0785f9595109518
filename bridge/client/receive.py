"""Streamed answers received with nats-py and nothing else: what the bridge is measured against."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import subjects

# Whatever comes is taken: a reader that lags must not lose messages here.
_UNLIMITED = -1


async def count(nc: Client, payload: bytes) -> int:
    """Send one streaming request; the number of chunks of its answer, once it is whole."""
    chunks = 0
    ended = asyncio.Event()

    async def hear(msg: Msg) -> None:
        nonlocal chunks
        if msg.data:
            chunks += 1
        else:
            ended.set()

    inbox = await nc.subscribe(
        nc.new_inbox(), cb=hear, pending_msgs_limit=_UNLIMITED, pending_bytes_limit=_UNLIMITED
    )
    await nc.publish(subjects.CHAT, payload, reply=inbox.subject)
    await ended.wait()
    await inbox.unsubscribe()
    return chunks
