"""Server-sent events: frames of bytes, as they come, in one answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from bridge.client.chat import Reader, Reply
from bridge.http import deliver
from schemas.codec import encode
from schemas.errors import LlmError

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would collect the chunks
}

# For readers and proxies that lose patience with a silent connection, as many do after a minute; no client sees a
# comment. Where there is news now and then, something comes every so many seconds.
SIGN_OF_LIFE = b": the model is busy\n\n"
BEAT, BEAT_EVERY = b": nothing new\n\n", 15.0


async def send(request: web.Request, frames: AsyncGenerator[bytes]) -> web.StreamResponse:
    """Answer with the frames, which are closed however it ends."""
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    async with contextlib.aclosing(frames):
        async for frame in frames:
            await deliver.write(request, frame)
    await deliver.finish(request, response)
    return response


def error(what: LlmError) -> bytes:
    return b"event: error\ndata: %b\n\n" % encode(what.body())


async def batches(first: Reply | None, rest: Reader) -> AsyncIterator[list[Reply]]:
    """All chunks; `first` is already read, and None when there is none at all.

    Chunks that have arrived together come together: one write, not one for each. The status is sent already, so
    that even our own errors become messages from here on; an error is the last.
    """
    try:
        if first is not None:
            yield [first]
        async for reply in rest:
            yield [reply, *rest.ready()]
    except LlmError as error:
        yield [Reply(error.status, encode(error.body()))]
