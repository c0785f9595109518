"""`/articles`: articles onto the queue, one, several or a file of any length; and where one of them is."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge import jsonl
from bridge.client import intake, place
from bridge.client.articles import Target
from bridge.client.place import Place
from bridge.client.stored import Stored
from bridge.http import body, errors, query
from bridge.http.auth import needs
from bridge.http.context import CALL, NATS, SETTINGS
from bridge.http.prompt import promptly
from bridge.http.query import Named
from bridge.http.receipt import Ledger
from bridge.jsonl import Numbered
from bridge.keys import Scope
from schemas.articles import DeadLetter
from schemas.codec import decode, encode
from schemas.errors import BadRequest, LlmError, NotFound, TooSlow
from schemas.runtime import connection
from schemas.subjects import Lane

LINES = ("application/x-ndjson", "application/jsonl")


Status = Literal["waiting", "in work", "analysed", "dead"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `publish` of the command has as options."""

    recipe: query.Recipe = "coin"
    lane: Annotated[Lane, Meta(description="`high` is served first.")] = "norm"
    replace: Annotated[bool, Meta(description="Analyse again what has an analysis.")] = False


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """Where an article is: `in work` once a worker was given it, also while it waits for another try."""

    id: str
    recipe: str
    status: Status
    since: dt.datetime
    lane: Lane | None = None
    analysis: Annotated[str, Meta(description="Its path.")] | None = None
    dead: Annotated[str, Meta(description="Its letter's path.")] | None = None
    reason: str | None = None
    error: str | None = None


@needs(Scope.BATCH)
async def create(request: web.Request) -> web.StreamResponse:
    options = query.read(request, Options)
    connection.require(request.app[NATS])
    target = Target(options.recipe, options.lane, options.replace, request[CALL].span.here)
    ledger = Ledger()
    try:
        try:
            async for taken in intake.take(request.app[NATS], _lines(request), target):
                ledger.add(taken)
        except LlmError as error:
            ledger.stop(error)
        return await ledger.send(request)
    finally:
        ledger.close()


async def _lines(request: web.Request) -> AsyncGenerator[Numbered]:
    if request.content_type in LINES:
        async for line in jsonl.numbered(_chunks(request)):
            yield line
        return
    for number, one in enumerate(_whole((await body.read(request)).strip()), 1):
        yield Numbered(number, bytes(one))


def _whole(text: bytes) -> list[msgspec.Raw]:
    """One object, or those of an array."""
    try:
        if text.startswith(b"["):
            return decode(list[msgspec.Raw], text)
        return [decode(msgspec.Raw, text)] if text else []
    except BadRequest as error:
        message = f"{error.message} JSON Lines need the content type `{LINES[0]}`."
        raise BadRequest(message, code=error.code) from None


async def _chunks(request: web.Request) -> AsyncGenerator[bytes]:
    """As they come, and no faster than the queue takes them."""
    seconds = request.app[SETTINGS].client_timeout
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await request.content.readany()
        except TimeoutError:
            raise TooSlow(f"Nothing more arrived for {seconds:g} seconds.") from None
        except web.RequestPayloadError:
            raise BadRequest("The request body cannot be decoded.", code="invalid_body") from None
        if not chunk:
            return
        yield chunk


@needs(Scope.BATCH)
@promptly
async def retrieve(request: web.Request) -> web.Response:
    article = query.named(request)
    found = await place.find(request.app[NATS], article.recipe, article.token)
    return errors.json(encode(_whereabouts(article, found)))


def _whereabouts(article: Named, found: Place) -> Whereabouts:
    status, since = _status(found)
    path = "/".join(quote(part, safe="") for part in (article.recipe, article.token))
    letter = _letter(found.letter)
    return Whereabouts(
        id=article.token,
        recipe=article.recipe,
        status=status,
        since=since,
        lane=found.waiting.lane if found.waiting else None,
        analysis=f"/analyses/{path}" if found.analysis else None,
        dead=f"/dead/{path}" if found.letter else None,
        reason=letter.reason if letter else None,
        error=letter.error if letter else None,
    )


def _status(found: Place) -> tuple[Status, dt.datetime]:
    """What waits comes first; else the newer end, for an article may be published anew after either."""
    if found.waiting is not None:
        return ("in work" if found.waiting.taken else "waiting"), found.waiting.since
    ends: list[tuple[dt.datetime, Status]] = []
    if found.analysis is not None:
        ends.append((found.analysis.at, "analysed"))
    if found.letter is not None:
        ends.append((found.letter.at, "dead"))
    if not ends:
        raise NotFound("No such article of this recipe is known here.", code="not_found")
    at, status = max(ends)
    return status, at


def _letter(found: Stored | None) -> DeadLetter | None:
    try:
        return DeadLetter.from_headers(found.headers) if found else None
    except BadRequest:
        return None  # something else that lies there
