"""`POST /v1/chat/completions`: looks at two fields, and lets the worker judge and answer the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from bridge.client import chat
from bridge.http import body, errors, inference, sse
from bridge.http.auth import needs
from bridge.http.context import CALL, SETTINGS, Call
from bridge.keys import Scope
from schemas.codec import decode


class Head(msgspec.Struct, frozen=True):
    """What decides on the way. Of any type: the worker is strict, and names the field."""

    model: Any = None
    stream: Any = None
    messages: list[msgspec.Raw] | None = None


@needs(Scope.CHAT)
async def completions(request: web.Request) -> web.StreamResponse:
    payload = await body.read(request)
    head = decode(Head, payload)
    inference.check_count(len(head.messages or []), request.app[SETTINGS].max_messages, "messages")
    model = head.model if isinstance(head.model, str) else None
    if head.stream is not True:
        return _whole(await inference.whole(request, model, payload))
    async with inference.streamed(request, model, payload) as (first, rest):
        # A refusal comes first and alone: until then the HTTP status is open.
        if first is not None and not first.ok:
            return _whole(first)
        return await sse.send(request, _frames(request[CALL], first, rest))


async def _frames(call: Call, first: chat.Reply | None, rest: chat.Reader) -> AsyncIterator[bytes]:
    """The worker's chunks, each after `data: `, ended by `[DONE]` or by an error."""
    call.chunks = 0
    async for replies in sse.batches(first, rest):
        yield b"".join([b"data: %b\n\n" % reply.body for reply in replies])
        if not replies[-1].ok:
            call.broken = replies[-1].status
            return
        call.chunks += len(replies)
    yield b"data: [DONE]\n\n"


def _whole(reply: chat.Reply) -> web.Response:
    return errors.json(reply.body, reply.status, reply.retry_after)
