"""Sees that nats-server has given up a stream which its disk had no room for: only another start mends that."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp
import msgspec

from bridge.up.child import Child

_LOOK_EVERY = 5.0
# A server that starts without any room would only fail again.
_ROOM = 8 * 2**20


class _Health(msgspec.Struct):
    status: str = ""
    error: str = ""


async def watch(server: Child, health: str, store: Path, say: Callable[[str], None]) -> None:
    """Until it is cancelled. `health` is the address where the server says how it is."""
    told = False
    async with aiohttp.ClientSession() as session:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if not await _failed(session, health):
                told = False
            elif shutil.disk_usage(store).free >= _ROOM:
                say("nats-server could not write to its disk, which has room again: it starts anew")
                server.end()
            elif not told:
                say(f"nats-server has no room on its disk: nothing is stored until there is some for {store}")
                told = True


async def _failed(session: aiohttp.ClientSession, health: str) -> bool:
    try:
        async with session.get(health) as response:
            if response.status == HTTPStatus.OK:
                return False
            return "write error" in msgspec.json.decode(await response.read(), type=_Health).error
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
        return False  # it starts or ends just now
