"""`/v1/files`: what batches are made of and what becomes of them, streamed to and from NATS."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge.client import batches, files
from bridge.http import deliver, errors, query, upload
from bridge.http.auth import needs
from bridge.http.context import NATS
from bridge.http.cursored import After, page
from bridge.http.prompt import promptly
from bridge.keys import Scope
from schemas.codec import encode
from schemas.errors import Conflict
from schemas.files import DeletedFile, FileObject, Purpose
from schemas.runtime import connection


class Pages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which files; newest first."""

    purpose: Purpose | None = None
    order: Literal["asc", "desc"] = "desc"
    after: After | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Items of a page.")] = 10_000


@needs(Scope.BATCH)
async def create(request: web.Request) -> web.StreamResponse:
    connection.require(request.app[NATS])
    return errors.json(encode(await upload.receive(request)))


@needs(Scope.BATCH)
@promptly
async def index(request: web.Request) -> web.Response:
    asked = query.read(request, Pages)
    found = await files.every(request.app[NATS])
    if asked.purpose is not None:
        found = [one for one in found if one.purpose == asked.purpose]
    if asked.order == "desc":
        found.reverse()
    return errors.json(encode(page(found, _name, asked.after, asked.limit)))


def _name(one: FileObject) -> str:
    return one.id


@needs(Scope.BATCH)
@promptly
async def retrieve(request: web.Request) -> web.Response:
    return errors.json(encode(await files.get(request.app[NATS], request.match_info["id"])))


@needs(Scope.BATCH)
@promptly
async def delete(request: web.Request) -> web.Response:
    nc, file_id = request.app[NATS], request.match_info["id"]
    await files.get(nc, file_id)
    for batch in await batches.every(nc):
        if batch.input_file_id == file_id and not batch.over:
            raise Conflict(
                f"The file is the input of `{batch.id}`, which is not over: cancel it first.", param="id"
            )
    await files.delete(nc, file_id)
    return errors.json(encode(DeletedFile(file_id)))


@needs(Scope.BATCH)
async def content(request: web.Request) -> web.StreamResponse:
    nc = request.app[NATS]
    connection.require(nc)
    told, where = await files.content(nc, request.match_info["id"])
    chunks = files.read(nc, where)
    first = await anext(chunks, b"")  # before its status is sent: it may be gone in this moment
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(told.filename, safe='')}",
        }
    )
    response.content_length = told.bytes
    await response.prepare(request)
    await deliver.write(request, first)
    async for chunk in chunks:
        await deliver.write(request, chunk)
    await deliver.finish(request, response)
    return response
