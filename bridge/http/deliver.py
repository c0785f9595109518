"""Bytes to a client within a time: one that does not read what waits for it is dropped."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web
from aiohttp.http_writer import StreamWriter

from bridge.http.context import SETTINGS


class ReaderTooSlow(ConnectionError):
    """Nobody can be told: the connection is full of what was not read."""


async def write(request: web.Request, data: bytes) -> None:
    """A part of a stream. Returns while at most some 64 KB wait to be sent; raises ReaderTooSlow."""
    writer = cast(StreamWriter, request.writer)
    # StreamResponse.write() would wait by itself, and a timer around each chunk costs more than the chunk.
    await writer.write(data, drain=False)
    if request.protocol.writing_paused:
        seconds = request.app[SETTINGS].client_timeout
        try:
            async with asyncio.timeout(seconds):
                await writer.drain()
        except TimeoutError:
            raise _too_slow(seconds) from None


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Send the whole of an answer, or what is left of a stream: aiohttp would wait for ever for its reader."""
    seconds = request.app[SETTINGS].client_timeout
    try:
        async with asyncio.timeout(seconds):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        raise _too_slow(seconds) from None


def drop(request: web.Request) -> None:
    """At once: a connection that is closed in order would still keep what was not read."""
    if request.transport is not None:
        request.transport.abort()


def _too_slow(seconds: float) -> ReaderTooSlow:
    return ReaderTooSlow(f"nothing was read for {seconds:g} seconds")
