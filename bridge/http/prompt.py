"""Looks at NATS that end: a caller of HTTP is told that NATS is away, and does not wait until it is back."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.http.context import NATS
from schemas.errors import Unavailable
from schemas.runtime import connection

# Longer than the client's own tries, whose errors say more.
_LONGEST = 20.0

_Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


def promptly(handler: _Endpoint) -> _Endpoint:
    """For handlers that look something up or change one thing."""

    @functools.wraps(handler)
    async def limited(request: web.Request) -> web.StreamResponse:
        connection.require(request.app[NATS])
        try:
            async with asyncio.timeout(_LONGEST):
                return await handler(request)
        except TimeoutError:
            raise Unavailable("NATS does not answer in time; try again in a few seconds.") from None

    return limited
