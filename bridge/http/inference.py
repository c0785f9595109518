"""One inference for an HTTP request: paid for by its key, and refused with the reason when nobody takes it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from bridge.client import Client, chat
from bridge.http import closing
from bridge.http.context import CALL, CLOSING, NATS, SETTINGS
from schemas import subjects
from schemas.errors import BadRequest, LlmError, NotFound, Unavailable
from schemas.runtime import presence

# A longer subject would be a fault in the protocol, for which NATS closes the connection.
_MAX_MODEL = 256


async def whole(request: web.Request, subject: str, model: str | None, payload: bytes) -> chat.Reply:
    """The answer of who listens on `subject` in one piece, or the worker's refusal."""
    async with _begun(request, subject, model, payload) as place:
        headers = request[CALL].headers()
        async with request.app[CLOSING].limit():
            reply = await chat.ask(
                request.app[NATS], place, payload, headers, request.app[SETTINGS].request_timeout
            )
    _pay(request, reply)
    return reply


@contextlib.asynccontextmanager
async def streamed(
    request: web.Request, subject: str, model: str | None, payload: bytes
) -> AsyncIterator[tuple[chat.Reply | None, chat.Reader]]:
    """The first chunk, or the refusal that comes alone in its place, and the reader of the others."""
    settings = request.app[SETTINGS]
    async with (
        _begun(request, subject, model, payload) as place,
        chat.stream(
            request.app[NATS],
            place,
            payload,
            request[CALL].headers(),
            first=settings.request_timeout,
            idle=settings.idle_timeout,
        ) as chunks,
    ):
        with request.app[CLOSING].telling(lambda: chunks.fail(closing.over())):
            first = await anext(chunks, None)
            if first is not None and not first.ok:
                _pay(request, first)
                yield first, chunks
                return
            try:
                yield first, chunks
            finally:
                # An answer that was not heard to its end was computed all the same: a token a chunk, or more.
                sent = _guess(payload) + (request[CALL].chunks or 0)
                request[CALL].pay(sent if chunks.tokens is None else chunks.tokens)


def check_count(number: int, limit: int, field: str) -> None:
    """Raises BadRequest naming the field that has too many messages."""
    if number > limit:
        reason = f"`{field}` has {number} messages, and the limit is {limit}."
        raise BadRequest(reason, param=field, code="array_above_max_length")


@contextlib.asynccontextmanager
async def _begun(request: web.Request, subject: str, model: str | None, payload: bytes) -> AsyncIterator[str]:
    """The subject to ask on, that of the model where there is one."""
    request[CALL].model = model and model[:_MAX_MODEL]
    request[CALL].pay(_guess(payload))
    try:
        yield _place(subject, model)
    except chat.NoResponder:
        request[CALL].pay(0)
        raise await _why_nobody(request.app[NATS], model) from None


def _guess(payload: bytes) -> int:
    """Tokens of a prompt before the worker has counted them."""
    return len(payload) // 4


def _pay(request: web.Request, reply: chat.Reply) -> None:
    """Nothing for a refusal; the guess stands where the worker does not say."""
    if not reply.ok:
        request[CALL].pay(0)
    elif reply.tokens is not None:
        request[CALL].pay(reply.tokens)


def _place(subject: str, model: str | None) -> str:
    if not model:
        return subject
    if len(model) > _MAX_MODEL:
        raise _no_model(model[:_MAX_MODEL] + "…")
    return subjects.of_model(subject, model)


async def _why_nobody(nc: Client, model: str | None) -> LlmError:
    """Nobody took the request: is it the model that is unknown, or the worker that is away?"""
    workers = await presence.workers(nc)
    if not workers:
        return Unavailable("No worker is there at the moment; start one with `nats-mlx worker`.")
    if model and not any(worker.serves(model) for worker in workers):
        return _no_model(model)
    return Unavailable("The worker does not answer at the moment; try again in a few seconds.")


def _no_model(model: str) -> NotFound:
    return NotFound(
        f"The model `{model}` does not exist here; `GET /v1/models` lists those that do.",
        param="model",
        code="model_not_found",
    )
