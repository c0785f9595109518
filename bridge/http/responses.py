"""`/v1/responses`: a chat in the shapes of OpenAI's Responses API, kept in NATS unless one says otherwise."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncGenerator, Iterable
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge.client import chat
from bridge.client import responses as shelf
from bridge.http import body, errors, inference, query, sse
from bridge.http.auth import needs
from bridge.http.context import CALL, NATS, SETTINGS
from bridge.http.cursored import After, page
from bridge.keys import Scope
from bridge.responses import answered, asked, faults
from bridge.responses.listed import listed
from bridge.responses.stream import Stream
from schemas import subjects
from schemas.codec import decode, encode
from schemas.completion import ChatChunk, ChatCompletion
from schemas.errors import BadRequest, ErrorBody, LlmError, NotFound
from schemas.responses import events
from schemas.responses.items import InputItem
from schemas.responses.request import ResponseRequest, decode_request
from schemas.responses.response import DeletedResponse, KeptResponse, Response

_ID = re.compile(r"resp_[0-9a-f]{32}")


class Items(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of a response's items; newest first, unless asked otherwise."""

    order: Literal["asc", "desc"] = "desc"
    after: After | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Items of a page.")] = 20


@needs(Scope.CHAT)
async def create(request: web.Request) -> web.StreamResponse:
    wanted = decode_request(await body.read_json(request))
    items = [*await _before(request, wanted), *wanted.items]
    told = asked.chat(wanted, items)
    inference.check_count(len(told.messages), request.app[SETTINGS].max_messages, "input")
    begun = asked.begun(wanted, f"resp_{uuid.uuid4().hex}", _now())
    if wanted.kept:
        shelf.check(KeptResponse(begun, items))  # now, not when the answer is there
    payload = encode(told)
    if not wanted.stream:
        reply = await inference.whole(request, subjects.CHAT, wanted.model, payload)
        if not reply.ok:
            return _refusal(reply)
        found = answered.whole(begun, decode(ChatCompletion, reply.body), _now())
        await _keep(request, found, items)
        return errors.json(encode(found))
    async with inference.streamed(request, subjects.CHAT, wanted.model, payload) as (first, rest):
        if first is not None and not first.ok:
            return _refusal(first)
        return await sse.send(request, _frames(request, Stream(begun), items, first, rest))


@needs(Scope.CHAT)
async def retrieve(request: web.Request) -> web.Response:
    if request.query.get("stream") == "true":
        reason = "A response that is kept is given whole; leave `stream` out."
        raise BadRequest(reason, param="stream", code="unsupported_parameter")
    return errors.json(encode((await _found(request)).response))


@needs(Scope.CHAT)
async def delete(request: web.Request) -> web.Response:
    found = await _found(request)
    await shelf.delete(request.app[NATS], found.response.id)
    return errors.json(encode(DeletedResponse(found.response.id)))


@needs(Scope.CHAT)
async def input_items(request: web.Request) -> web.Response:
    asked_for = query.read(request, Items)
    kept = await _found(request)
    items = listed(kept.response.id, kept.input)
    if asked_for.order == "desc":
        items.reverse()
    return errors.json(encode(page(items, _name, asked_for.after, asked_for.limit)))


def _name(item: InputItem) -> str:
    return item.id or ""


async def _found(request: web.Request) -> KeptResponse:
    asked_for = request.match_info["id"]
    found = await _kept(request, asked_for)
    if found is None:
        raise NotFound(f"Response with id '{asked_for}' not found.", code="response_not_found")
    return found


async def _before(request: web.Request, wanted: ResponseRequest) -> list[InputItem]:
    """The conversation that the request goes on with."""
    previous = wanted.previous_response_id
    if previous is None:
        return []
    found = await _kept(request, previous)
    if found is None:
        raise BadRequest(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return found.conversation


async def _kept(request: web.Request, response_id: str) -> KeptResponse | None:
    # Whatever is no id of ours is in no subject of ours either.
    return await shelf.get(request.app[NATS], response_id) if _ID.fullmatch(response_id) else None


async def _keep(request: web.Request, response: Response, items: list[InputItem]) -> None:
    if response.store:
        await shelf.put(request.app[NATS], KeptResponse(response, items))


async def _frames(
    request: web.Request, stream: Stream, items: list[InputItem], first: chat.Reply | None, rest: chat.Reader
) -> AsyncGenerator[bytes]:
    """The worker's chunks as events. What is told to be complete is kept already."""
    call = request[CALL]
    call.chunks = 0
    try:
        async for replies in sse.batches(first, rest):
            found: list[events.Event] = []
            for reply in replies:
                if not reply.ok:
                    call.broken = reply.status
                    error = faults.told(reply.body)
                    yield _framed([*found, *stream.fail(error, faults.failure(reply.status, error))])
                    return
                found += stream.add(decode(ChatChunk, reply.body))
            yield _framed(found)
            call.chunks += len(replies)
        response = stream.end(_now())
        await _keep(request, response, items)
        yield _framed([stream.over(response)])
    except LlmError as error:
        call.broken = error.status
        detail = error.body().error
        yield _framed(stream.fail(detail, faults.failure(error.status, detail)))


def _framed(found: Iterable[events.Event]) -> bytes:
    frames = [b"event: %b\ndata: %b\n\n" % (events.name(event).encode(), encode(event)) for event in found]
    return b"".join(frames) or sse.SIGN_OF_LIFE


def _refusal(reply: chat.Reply) -> web.Response:
    return errors.json(encode(ErrorBody(faults.told(reply.body))), reply.status, reply.retry_after)


def _now() -> int:
    return int(time.time())
