"""`/overview`: the whole house at a glance, once or as it changes. It is what the page at `/` shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator

from aiohttp import web

from bridge.http import deliver, errors, listener, sse
from bridge.http.context import OBSERVER
from bridge.http.prompt import promptly
from schemas.codec import encode
from schemas.errors import LlmError

# Seconds. A look costs a dozen small requests; a proxy hangs up on what is silent for a minute.
_LOOK_EVERY, _BEAT_EVERY = 2.0, 15.0
_BEAT = b": nothing new\n\n"


@promptly
async def index(request: web.Request) -> web.Response:
    return errors.json(encode(await request.app[OBSERVER].look()))


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events; an `error` says why nothing can be seen at the moment, and is not the end."""
    response = web.StreamResponse(headers=sse.HEADERS)
    await response.prepare(request)
    async with contextlib.aclosing(_events(request)) as events:
        async for event in events:
            await deliver.write(request, event)
    await deliver.finish(request, response)
    return response


async def _events(request: web.Request) -> AsyncGenerator[bytes]:
    last, told_at = b"", time.monotonic()
    yield _BEAT
    while listener.stays(request):
        event = await _look(request)
        if event != last or time.monotonic() - told_at >= _BEAT_EVERY:
            yield event if event != last else _BEAT
            last, told_at = event, time.monotonic()
        await listener.pause(request, _LOOK_EVERY)


async def _look(request: web.Request) -> bytes:
    try:
        return b"data: %b\n\n" % encode(await request.app[OBSERVER].look())
    except LlmError as error:
        return b"event: error\ndata: %b\n\n" % encode(error.body())
