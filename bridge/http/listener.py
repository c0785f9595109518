"""Whoever listens to a stream that has no end of its own: it goes on while they are there and the bridge runs."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from bridge.http.context import STOPPING


def stays(request: web.Request) -> bool:
    """Whoever leaves cancels us, but below Python 3.12 `wait_for`, which nats-py uses, may swallow that."""
    return not (request.app[STOPPING].is_set() or request.transport is None or request.transport.is_closing())


async def pause(request: web.Request, seconds: float) -> None:
    """Shorter where the bridge stops."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await request.app[STOPPING].wait()
