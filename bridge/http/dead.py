"""`/dead`: what could not be done; read by whoever publishes, sent again or removed by an admin."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge.client import letters
from bridge.client.gate import ClosedGate
from bridge.client.letters import Letter, Wanted
from bridge.http import errors, query
from bridge.http.auth import needs
from bridge.http.context import NATS
from bridge.http.listing import Listing
from bridge.http.prompt import promptly
from bridge.http.query import Named
from bridge.keys import Scope
from schemas.articles import DeadLetter
from schemas.codec import encode
from schemas.errors import Conflict, NotFound


class Pages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters; what is left out is any."""

    recipe: query.Recipe | None = None
    reason: Annotated[str, Meta(description="Its `reason`, such as `unknown_recipe`.")] | None = None
    cursor: query.Cursor = 0
    limit: query.Limit = 20


class Dead(msgspec.Struct, frozen=True):
    """`letter` is null for what lies there and is none: it can only be removed."""

    id: str
    recipe: str
    letter: DeadLetter | None


class DeadArticle(Dead, frozen=True, omit_defaults=True):
    """With the original, byte for byte: as base64 where it is no text."""

    payload: str | None = None
    payload_base64: str | None = None


class Fate(msgspec.Struct, frozen=True):
    """What was done: `sent again`, `waits already`, `analysed already` (all three remove the letter), `removed`."""

    id: str
    recipe: str
    status: str


@needs(Scope.BATCH, Scope.ADMIN)
@promptly
async def index(request: web.Request) -> web.Response:
    asked = query.read(request, Pages)
    page = await letters.page(
        request.app[NATS], Wanted(asked.recipe, asked.reason), asked.cursor, asked.limit
    )
    found = [Dead(one.id, one.recipe, one.letter) for one in page.found]
    return errors.json(encode(Listing(found, page.cursor, page.more)))


@needs(Scope.BATCH, Scope.ADMIN)
@promptly
async def retrieve(request: web.Request) -> web.Response:
    found = await _find(request, query.named(request))
    try:
        article = DeadArticle(found.id, found.recipe, found.letter, payload=found.payload.decode())
    except UnicodeDecodeError:
        coded = base64.b64encode(found.payload).decode()
        article = DeadArticle(found.id, found.recipe, found.letter, payload_base64=coded)
    return errors.json(encode(article))


@needs(Scope.ADMIN)
@promptly
async def retry(request: web.Request) -> web.Response:
    found = await _find(request, query.named(request))
    fate = await letters.retry(request.app[NATS], found, ClosedGate())
    if fate == "not let go yet":
        raise Conflict(
            f"`{found.id}` may come off the queue in this moment; try again in a minute.",
            code="not_let_go_yet",
        )
    return errors.json(encode(Fate(found.id, found.recipe, fate)))


@needs(Scope.ADMIN)
@promptly
async def remove(request: web.Request) -> web.Response:
    found = await _find(request, query.named(request))
    await letters.remove(request.app[NATS], found)
    return errors.json(encode(Fate(found.id, found.recipe, "removed")))


async def _find(request: web.Request, article: Named) -> Letter:
    try:
        return await letters.find(request.app[NATS], Wanted(article.recipe), article.id)
    except NotFound as error:
        raise NotFound(error.message, code="not_found") from None
