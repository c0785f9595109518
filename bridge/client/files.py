"""OpenAI's files as objects of `llm_files`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import AsyncGenerator

from nats.aio.client import Client

from bridge.client import objects, stored
from bridge.client.objects import Object, Writer
from bridge.client.stored import Hold, Stored
from schemas.batches import Content
from schemas.codec import convert
from schemas.errors import BadRequest, LlmError, NotFound
from schemas.files import LONGEST_LIFE, FileObject, Purpose
from schemas.runtime import log

_log = log.get("bridge.files")

# As OpenAI has it for files of batches.
MAX_BYTES = 200 * 1024 * 1024
_ID = re.compile(r"file-[0-9a-f]{32}")


def new_id() -> str:
    return f"file-{uuid.uuid4().hex}"


class Upload:
    """A file that is being written, within `async with`: unless it was finished, nothing of it is left behind.

    `seconds` may still change until then.
    """

    def __init__(self, nc: Client, purpose: Purpose, hold: Hold, seconds: int = LONGEST_LIFE) -> None:
        self._purpose = purpose
        self._writer = Writer(nc, seconds, hold)
        self._finishing: asyncio.Task[Object] | None = None

    async def __aenter__(self) -> Upload:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._finishing is None:
            with contextlib.suppress(LlmError):  # what cannot be removed now expires
                await asyncio.shield(self._writer.abort())

    @property
    def size(self) -> int:
        return self._writer.size

    async def write(self, data: bytes) -> None:
        await self._writer.write(data)

    async def finish(self, file_id: str, filename: str, seconds: int) -> FileObject:
        now = int(time.time())
        told = {
            "filename": filename,
            "purpose": self._purpose,
            "created_at": now,
            "expires_at": now + seconds,
        }
        metadata = {name: str(value) for name, value in told.items()}
        # Carried through, whoever hangs up meanwhile: a name without its content is a file that nobody can read.
        self._finishing = asyncio.create_task(self._writer.finish(file_id, metadata, seconds))
        return _told(await asyncio.shield(self._finishing))


async def get(nc: Client, file_id: str) -> FileObject:
    """Raises NotFound."""
    return _told(await _find(nc, file_id))


async def content(nc: Client, file_id: str) -> tuple[FileObject, Content]:
    """A file and where its bytes are. Raises NotFound."""
    found = await _find(nc, file_id)
    return _told(found), found.content


def read(nc: Client, bytes_of: Content) -> AsyncGenerator[bytes]:
    return objects.read(nc, bytes_of)


async def delete(nc: Client, file_id: str) -> None:
    """Raises NotFound."""
    await objects.delete(nc, await _find(nc, file_id), stored.at_once)


async def every(nc: Client) -> list[FileObject]:
    """Oldest first."""
    return [found async for message in objects.every(nc) if (found := _ours(message)) is not None]


def _ours(message: Stored) -> FileObject | None:
    """None for what somebody else put there or took away."""
    try:
        found = objects.told(message)
        return None if found is None else _told(found)
    except BadRequest as error:
        _log.warning("file_unknown", subject=message.subject, reason=error.message)
        return None


async def _find(nc: Client, file_id: str) -> Object:
    # Whatever is no id of ours is in no subject of ours either.
    found = await objects.get(nc, file_id, stored.at_once) if _ID.fullmatch(file_id) else None
    if found is None:
        raise NotFound(f"No such File object: {file_id}", param="id", code="file_not_found")
    return found


def _told(found: Object) -> FileObject:
    return convert(FileObject, {"id": found.name, "bytes": found.size, **found.metadata}, strict=False)
