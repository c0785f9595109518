"""`POST /v1/chat/completions`: looks at two fields, and lets the worker judge and answer the rest."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from bridge.client import Client, chat, presence
from bridge.http import body, errors, sse
from bridge.http.auth import needs
from bridge.http.context import CALL, NATS, SETTINGS
from bridge.keys import Scope
from schemas import subjects
from schemas.codec import decode
from schemas.errors import BadRequest, LlmError, NotFound, Unavailable

# A longer subject would be a fault in the protocol, for which NATS closes the connection.
_MAX_MODEL = 256


class Head(msgspec.Struct, frozen=True):
    """What decides on the way. Of any type: the worker is strict, and names the field."""

    model: Any = None
    stream: Any = None
    messages: list[msgspec.Raw] | None = None


@needs(Scope.CHAT)
async def completions(request: web.Request) -> web.StreamResponse:
    payload = await body.read(request)
    head = decode(Head, payload)
    _check_count(head, request.app[SETTINGS].max_messages)
    model = head.model if isinstance(head.model, str) else None
    request[CALL].model = model and model[:_MAX_MODEL]
    request[CALL].pay(_guess(payload))
    try:
        if head.stream is True:
            return await _streamed(request, _subject(model), payload)
        return await _plain(request, _subject(model), payload)
    except chat.NoResponder:
        request[CALL].pay(0)
        raise await _why_nobody(request.app[NATS], model) from None


async def _plain(request: web.Request, subject: str, payload: bytes) -> web.Response:
    headers = request[CALL].headers()
    reply = await chat.ask(
        request.app[NATS], subject, payload, headers, request.app[SETTINGS].request_timeout
    )
    _pay(request, reply)
    return _whole(reply)


async def _streamed(request: web.Request, subject: str, payload: bytes) -> web.StreamResponse:
    settings = request.app[SETTINGS]
    async with chat.stream(
        request.app[NATS],
        subject,
        payload,
        request[CALL].headers(),
        first=settings.request_timeout,
        idle=settings.idle_timeout,
    ) as chunks:
        # A refusal comes first and alone: until then the HTTP status is open.
        first = await anext(chunks, None)
        if first is not None and not first.ok:
            _pay(request, first)
            return _whole(first)
        try:
            return await sse.send(request, first, chunks)
        finally:
            # An answer that was not heard to its end was computed all the same: a token a chunk, or more.
            sent = _guess(payload) + (request[CALL].chunks or 0)
            request[CALL].pay(sent if chunks.tokens is None else chunks.tokens)


def _guess(payload: bytes) -> int:
    """Tokens of a prompt before the worker has counted them."""
    return len(payload) // 4


def _pay(request: web.Request, reply: chat.Reply) -> None:
    """Nothing for a refusal; the guess stands where the worker does not say."""
    if not reply.ok:
        request[CALL].pay(0)
    elif reply.tokens is not None:
        request[CALL].pay(reply.tokens)


def _check_count(head: Head, limit: int) -> None:
    if head.messages is not None and len(head.messages) > limit:
        reason = f"`messages` has {len(head.messages)} messages, and the limit is {limit}."
        raise BadRequest(reason, param="messages", code="array_above_max_length")


def _whole(reply: chat.Reply) -> web.Response:
    return errors.json(reply.body, reply.status, reply.retry_after)


def _subject(model: str | None) -> str:
    if not model:
        return subjects.CHAT
    if len(model) > _MAX_MODEL:
        raise _no_model(model[:_MAX_MODEL] + "…")
    return subjects.chat_model(model)


async def _why_nobody(nc: Client, model: str | None) -> LlmError:
    """Nobody took the request: is it the model that is unknown, or the worker that is away?"""
    workers = await presence.workers(nc)
    if not workers:
        return Unavailable("No worker is there at the moment; start one with `nats-mlx worker`.")
    if model and not any(presence.serves(worker, model) for worker in workers):
        return _no_model(model)
    return Unavailable("The worker does not answer at the moment; try again in a few seconds.")


def _no_model(model: str) -> NotFound:
    return NotFound(
        f"The model `{model}` does not exist here; `GET /v1/models` lists those that do.",
        param="model",
        code="model_not_found",
    )
