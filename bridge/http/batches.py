"""`/v1/batches`: begun here, looked after by whichever bridge takes the job, answered by any of them."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge.batches import states
from bridge.batches.begin import begin
from bridge.client import batches, stored
from bridge.http import body, errors, query
from bridge.http.auth import needs
from bridge.http.context import NATS
from bridge.http.cursored import After, page
from bridge.http.prompt import promptly
from bridge.keys import Scope
from schemas.batches import Batch, BatchRequest
from schemas.codec import decode, encode


class Pages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest first."""

    after: After | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Items of a page.")] = 20


@needs(Scope.BATCH)
@promptly
async def create(request: web.Request) -> web.Response:
    wanted = decode(BatchRequest, await body.read_json(request))
    return errors.json(encode(await begin(request.app[NATS], wanted)))


@needs(Scope.BATCH)
@promptly
async def index(request: web.Request) -> web.Response:
    asked = query.read(request, Pages)
    found = await batches.every(request.app[NATS])
    return errors.json(encode(page(found, _name, asked.after, asked.limit)))


def _name(one: Batch) -> str:
    return one.id


@needs(Scope.BATCH)
@promptly
async def retrieve(request: web.Request) -> web.Response:
    kept = await batches.get(request.app[NATS], request.match_info["id"])
    return errors.json(encode(kept.batch))


@needs(Scope.BATCH)
@promptly
async def cancel(request: web.Request) -> web.Response:
    step = partial(states.cancelling, now=int(time.time()))
    kept = await batches.change(request.app[NATS], request.match_info["id"], step, stored.at_once)
    return errors.json(encode(kept.batch))
