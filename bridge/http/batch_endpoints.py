"""The part of the table that is of files and batches, and where they are served."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge.http import batches, files
from bridge.http.cursored import Cursored
from bridge.http.endpoint import Content, Endpoint, Parameter
from schemas.batches import Batch, BatchRequest
from schemas.errors import (
    BadRequest,
    Conflict,
    NotFound,
    Overloaded,
    TooLarge,
    TooSlow,
    Unavailable,
    UnsupportedMedia,
)
from schemas.files import LONGEST_LIFE, DeletedFile, FileObject, Life

ROUTES = [
    web.post("/v1/files", files.create),
    web.get("/v1/files", files.index),
    web.get("/v1/files/{id}", files.retrieve),
    web.delete("/v1/files/{id}", files.delete),
    web.get("/v1/files/{id}/content", files.content, allow_head=False),
    web.post("/v1/batches", batches.create),
    web.get("/v1/batches", batches.index),
    web.get("/v1/batches/{id}", batches.retrieve),
    web.post("/v1/batches/{id}/cancel", batches.cancel),
]


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the form of an upload holds; told here, read part by part."""

    file: Annotated[Any, Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})]
    purpose: Annotated[str, Meta(extra_json_schema={"enum": ["batch"]})]
    anchor: Annotated[str, Meta(extra_json_schema={"enum": ["created_at"]})] = msgspec.field(
        name="expires_after[anchor]", default="created_at"
    )
    seconds: Life = msgspec.field(name="expires_after[seconds]", default=LONGEST_LIFE)


_FILE = {
    "id": "file-0b9a3f2c6d0e4f5f8f1d2c3b4a596877", "bytes": 312, "created_at": 1795383095,
    "filename": "requests.jsonl", "purpose": "batch", "expires_at": 1797975095, "object": "file", "status": "processed",
}  # fmt: skip
_ASKED = {
    "input_file_id": _FILE["id"],
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
    "metadata": {"night": "monday"},
}
_BATCH = _ASKED | {
    "id": "batch_5c1e0a8d3f5b4c0fa6a1f6f7e2d90b13", "status": "completed", "created_at": 1795383096,
    "expires_at": 1795469496, "in_progress_at": 1795383097, "finalizing_at": 1795383120, "completed_at": 1795383121,
    "output_file_id": "file-9d2b1c7e5a4f4f0e8f6d0c9b8a796857", "model": "starter",
    "request_counts": {"total": 2, "completed": 2, "failed": 0}, "object": "batch",
}  # fmt: skip
_FILE_ID = Parameter("id", "path", "A file's `id`.", {"type": "string", "minLength": 1}, str(_FILE["id"]))
_BATCH_ID = Parameter("id", "path", "A batch's `id`.", {"type": "string", "minLength": 1}, str(_BATCH["id"]))

BATCHES = (
    Endpoint(
        "post",
        "/v1/files",
        "A file of requests, up to 200 MB",
        takes=Content(Form, {"file": "{}", "purpose": "batch"}, "multipart/form-data"),
        gives=(Content(FileObject, _FILE),),
        errors=(BadRequest, TooSlow, TooLarge, UnsupportedMedia, Overloaded, Unavailable),
    ),
    Endpoint(
        "get",
        "/v1/files",
        "The files that there are",
        gives=(Content(Cursored[FileObject], {"data": [_FILE], "has_more": False}),),
        errors=(BadRequest, Overloaded, Unavailable),
        query=files.Pages,
    ),
    Endpoint(
        "get",
        "/v1/files/{id}",
        "One file, without its content",
        gives=(Content(FileObject, _FILE),),
        errors=(NotFound, Overloaded, Unavailable),
        parameters=(_FILE_ID,),
    ),
    Endpoint(
        "delete",
        "/v1/files/{id}",
        "Remove a file that no batch still needs",
        gives=(Content(DeletedFile, {"id": _FILE["id"], "object": "file", "deleted": True}),),
        errors=(NotFound, Conflict, Overloaded, Unavailable),
        parameters=(_FILE_ID,),
    ),
    Endpoint(
        "get",
        "/v1/files/{id}/content",
        "A file's bytes",
        gives=(Content(str, '{"custom_id":"a", ...}', "application/octet-stream"),),
        errors=(NotFound, Overloaded, Unavailable),
        parameters=(_FILE_ID,),
    ),
    Endpoint(
        "post",
        "/v1/batches",
        "Have the requests of a file done when there is time",
        takes=Content(BatchRequest, _ASKED),
        gives=(Content(Batch, _BATCH),),
        errors=(BadRequest, TooLarge, UnsupportedMedia, Overloaded, Unavailable),
    ),
    Endpoint(
        "get",
        "/v1/batches",
        "The batches that there are, newest first",
        gives=(Content(Cursored[Batch], {"data": [_BATCH], "has_more": False}),),
        errors=(BadRequest, Overloaded, Unavailable),
        query=batches.Pages,
    ),
    Endpoint(
        "get",
        "/v1/batches/{id}",
        "One batch: how far it is, and its files",
        gives=(Content(Batch, _BATCH),),
        errors=(NotFound, Overloaded, Unavailable),
        parameters=(_BATCH_ID,),
    ),
    Endpoint(
        "post",
        "/v1/batches/{id}/cancel",
        "End a batch with what is done so far",
        gives=(Content(Batch, _BATCH | {"status": "cancelling"}),),
        errors=(NotFound, Conflict, Overloaded, Unavailable),
        parameters=(_BATCH_ID,),
    ),
)
