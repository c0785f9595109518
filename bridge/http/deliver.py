"""Bytes to a client within a time: one that does not read what waits for it is dropped."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridge.http.context import SETTINGS


class ReaderTooSlow(ConnectionError):
    """Nobody can be told: the connection is full of what was not read."""


async def write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Returns while at most some 64 KB wait to be sent. Raises ReaderTooSlow when that takes too long."""
    seconds = request.app[SETTINGS].client_timeout
    try:
        async with asyncio.timeout(seconds):
            await response.write(data)
    except TimeoutError:
        raise ReaderTooSlow(f"nothing was read for {seconds:g} seconds") from None


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Send the whole of an answer, or what is left of a stream: aiohttp would wait for ever for its reader."""
    seconds = request.app[SETTINGS].client_timeout
    try:
        async with asyncio.timeout(seconds):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        raise ReaderTooSlow(f"nothing was read for {seconds:g} seconds") from None


def drop(request: web.Request) -> None:
    """At once: a closed connection would still keep what was not read."""
    if request.transport is not None:
        request.transport.abort()
