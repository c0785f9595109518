"""`POST /v1/chat/completions`, `POST /v1/completions`: look at a few fields, and let the worker judge and answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from bridge.client import chat as client
from bridge.http import body, errors, inference, sse
from bridge.http.auth import needs
from bridge.http.context import CALL, SETTINGS, Call
from bridge.keys import Scope
from schemas import subjects
from schemas.codec import decode


class Head(msgspec.Struct, frozen=True):
    """What decides on the way. Of any type: the worker is strict, and names the field."""

    model: Any = None
    stream: Any = None


class ChatHead(Head, frozen=True):
    messages: list[msgspec.Raw] | UnsetType = UNSET


@needs(Scope.CHAT)
async def chat(request: web.Request) -> web.StreamResponse:
    payload = await body.read_json(request)
    head = decode(ChatHead, payload)
    inference.check_count(len(head.messages or []), request.app[SETTINGS].max_messages, "messages")
    return await _answer(request, subjects.CHAT, head, payload)


@needs(Scope.CHAT)
async def text(request: web.Request) -> web.StreamResponse:
    payload = await body.read_json(request)
    return await _answer(request, subjects.COMPLETIONS, decode(Head, payload), payload)


async def _answer(request: web.Request, subject: str, head: Head, payload: bytes) -> web.StreamResponse:
    model = head.model if isinstance(head.model, str) else None
    if head.stream is not True:
        return _whole(await inference.whole(request, subject, model, payload))
    async with inference.streamed(request, subject, model, payload) as (first, rest):
        # A refusal comes first and alone: until then the HTTP status is open.
        if first is not None and not first.ok:
            return _whole(first)
        return await sse.send(request, _frames(request[CALL], first, rest))


async def _frames(call: Call, first: client.Reply | None, rest: client.Reader) -> AsyncGenerator[bytes]:
    """The worker's chunks, each after `data: `, ended by `[DONE]` or by an error."""
    call.chunks = 0
    async for replies in sse.batches(first, rest):
        yield b"".join([_frame(reply) for reply in replies])
        if not replies[-1].ok:
            call.broken = replies[-1].status
            return
        call.chunks += len(replies)
    yield b"data: [DONE]\n\n"


def _frame(reply: client.Reply) -> bytes:
    return sse.SIGN_OF_LIFE if reply.busy else b"data: %b\n\n" % reply.body


def _whole(reply: client.Reply) -> web.Response:
    return errors.json(reply.body, reply.status, reply.retry_after)
