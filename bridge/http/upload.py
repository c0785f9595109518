"""A file out of a multipart form, on its way into NATS as it comes: none of it is held here but a chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.client import files
from bridge.client.files import Upload
from bridge.client.stored import at_once
from bridge.http.context import NATS, SETTINGS
from schemas.codec import convert
from schemas.errors import BadRequest, TooLarge, TooSlow, UnsupportedMedia
from schemas.files import LONGEST_LIFE, ExpiresAfter, FileObject

T = TypeVar("T")

# The form around the file.
_FRAME = 64 * 1024
_PIECE = 64 * 1024
_LONGEST_FIELD = 256
_PURPOSES = ("batch",)
_EXPIRES = {"expires_after[anchor]": "anchor", "expires_after[seconds]": "seconds"}
_PLAIN = ("", "binary", "8bit", "7bit")


class _Form:
    """What has come of it. Its file is open as long as `stack`."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.file: Upload | None = None
        self.filename = ""
        self.fields: dict[str, str] = {}

    def check(self) -> None:
        """Of all that is there so far. Raises BadRequest."""
        purpose = self.fields.get("purpose")
        if purpose is not None and purpose not in _PURPOSES:
            reason = f"`{purpose}` is no purpose here; files are for batches: `batch`."
            raise BadRequest(reason, param="purpose", code="invalid_value")

    def seconds(self) -> int:
        told = {short: self.fields[name] for name, short in _EXPIRES.items() if name in self.fields}
        if not told:
            return LONGEST_LIFE
        return convert(ExpiresAfter, told, strict=False).seconds

    def complete(self) -> Upload:
        """Raises BadRequest."""
        if self.file is None:
            raise _missing("file")
        if "purpose" not in self.fields:
            raise _missing("purpose")
        if self.file.size == 0:
            raise BadRequest("The file is empty.", param="file", code="empty_file")
        return self.file


async def receive(request: web.Request) -> FileObject:
    """Raises BadRequest, TooLarge or TooSlow; then nothing of the file is left."""
    if (request.content_length or 0) > files.MAX_BYTES + _FRAME:
        raise _too_large()
    async with AsyncExitStack() as stack:
        form = _Form(stack)
        async for part in _parts(request):
            await _take(request, form, part)
        upload, seconds = form.complete(), form.seconds()
        return await upload.finish(files.new_id(), form.filename, seconds)


async def _parts(request: web.Request) -> AsyncGenerator[BodyPartReader]:
    if request.content_type != "multipart/form-data":
        raise UnsupportedMedia(f"A file comes as `multipart/form-data`, not `{request.content_type}`.")
    try:
        reader = await request.multipart()
        while (part := await _soon(request, reader.next())) is not None:
            if isinstance(part, MultipartReader):
                raise BadRequest("A form within the form is not supported.", code="invalid_body")
            yield part
    except (ValueError, AssertionError, HttpProcessingError, web.RequestPayloadError):
        raise BadRequest(
            "The form cannot be read; check its boundary and its parts.", code="invalid_body"
        ) from None


async def _take(request: web.Request, form: _Form, part: BodyPartReader) -> None:
    name = part.name or ""
    if name == "file":
        if form.file is not None:
            raise BadRequest("There is more than one `file`.", param="file", code="invalid_value")
        if part.headers.get("Content-Transfer-Encoding", "").lower() not in _PLAIN:
            raise BadRequest(
                "The file's transfer encoding is not supported.", param="file", code="invalid_value"
            )
        # Bytes that are no UTF-8 come as surrogates, which JSON cannot hold.
        form.filename = (part.filename or "upload.jsonl").encode("utf-8", "replace").decode()
        upload = Upload(request.app[NATS], "batch", at_once, form.seconds())
        form.file = await form.stack.enter_async_context(upload)
        await _copy(request, part, form.file)
        return
    if name in form.fields or name not in ("purpose", *_EXPIRES):
        what = "is given more than once" if name in form.fields else "is unknown here"
        raise BadRequest(f"The field `{name}` {what}.", param=name or None, code="invalid_value")
    form.fields[name] = await _text(request, part)
    form.check()


async def _copy(request: web.Request, part: BodyPartReader, upload: Upload) -> None:
    """No faster than NATS takes it."""
    while piece := await _soon(request, part.read_chunk(_PIECE)):
        if upload.size + len(piece) > files.MAX_BYTES:
            raise _too_large()
        await upload.write(piece)


async def _text(request: web.Request, part: BodyPartReader) -> str:
    found = b""
    while piece := await _soon(request, part.read_chunk(_PIECE)):
        found += piece
        if len(found) > _LONGEST_FIELD:
            raise BadRequest(f"The field `{part.name}` is too long.", param=part.name, code="invalid_value")
    return found.decode("utf-8", "replace")


async def _soon(request: web.Request, coming: Coroutine[Any, Any, T]) -> T:
    seconds = request.app[SETTINGS].client_timeout
    try:
        async with asyncio.timeout(seconds):
            return await coming
    except TimeoutError:
        raise TooSlow(f"Nothing more arrived for {seconds:g} seconds.") from None


def _missing(name: str) -> BadRequest:
    return BadRequest(f"Missing field `{name}`.", param=name, code="missing_required_parameter")


def _too_large() -> TooLarge:
    return TooLarge(f"A file may have {files.MAX_BYTES:,} bytes at most.", param="file")
