"""`/overview`: the whole house at a glance, once or as it changes. It is what the page at `/` shows."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from aiohttp import web

from bridge.http import errors, listener, sse
from bridge.http.context import OBSERVER
from bridge.http.prompt import promptly
from schemas.codec import encode
from schemas.errors import LlmError

_LOOK_EVERY = 2.0  # seconds; a look costs a dozen small requests


@promptly
async def index(request: web.Request) -> web.Response:
    return errors.json(encode(await request.app[OBSERVER].look()))


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events; an `error` says why nothing can be seen at the moment, and is not the end."""
    return await sse.send(request, _events(request))


async def _events(request: web.Request) -> AsyncGenerator[bytes]:
    last, told_at = b"", time.monotonic()
    yield sse.BEAT
    while listener.stays(request):
        event = await _look(request)
        if event != last or time.monotonic() - told_at >= sse.BEAT_EVERY:
            yield event if event != last else sse.BEAT
            last, told_at = event, time.monotonic()
        await listener.pause(request, _LOOK_EVERY)


async def _look(request: web.Request) -> bytes:
    try:
        return b"data: %b\n\n" % encode(await request.app[OBSERVER].look())
    except LlmError as error:
        return sse.error(error)
