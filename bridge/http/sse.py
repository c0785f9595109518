"""Server-sent events: the worker's chunks, each after `data: `, ended by `[DONE]` or by an error."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from bridge.client.chat import Reader, Reply
from bridge.http import deliver
from bridge.http.context import CALL
from schemas.codec import encode
from schemas.errors import LlmError

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would collect the chunks
}


async def send(request: web.Request, first: Reply | None, rest: Reader) -> web.StreamResponse:
    """Answer with the chunks; `first` is already read, and None when there is none at all.

    Chunks that have arrived together leave together: one write, not one for each.
    """
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    call = request[CALL]
    call.chunks = 0
    async for replies in _all(first, rest):
        await deliver.write(request, b"".join([b"data: %b\n\n" % reply.body for reply in replies]))
        if not replies[-1].ok:
            call.broken = replies[-1].status
            break
        call.chunks += len(replies)
    else:
        await deliver.write(request, b"data: [DONE]\n\n")
    await deliver.finish(request, response)
    return response


async def _all(first: Reply | None, rest: Reader) -> AsyncIterator[list[Reply]]:
    """The status is sent already, so that even our own errors become messages from here on."""
    try:
        if first is not None:
            yield [first]
        async for reply in rest:
            yield [reply, *rest.ready()]
    except LlmError as error:
        yield [Reply(error.status, encode(error.body()))]
