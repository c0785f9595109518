"""The object store `llm_files`, streamed both ways: nats-py's own works through threads, and with more rights.

What lies there is as ADR-20 has it, so that `nats object ls llm_files` shows it.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from bridge.client.stored import Hold, NotStored, Stored
from schemas import streams
from schemas.batches import Content
from schemas.codec import decode, encode
from schemas.errors import NotFound, TooLarge
from schemas.jetstream import FULL

_BUCKET, _STREAM = streams.FILES_BUCKET, streams.FILES.name
# All that an upload or a download holds of a file, and how much of it is asked for at once.
_CHUNK = 512 * 1024
_CHUNKS_AT_ONCE = 4
_TTL, _ROLLUP, _MSG_ID = "Nats-TTL", "Nats-Rollup", "Nats-Msg-Id"
# Chunks outlive their name by so much: who began to read them before it expired needs them for a day.
_LONGER = 2 * 24 * 3600


class _Options(msgspec.Struct, frozen=True):
    max_chunk_size: int = _CHUNK


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """What the store says of one object; of a removed one hardly more than its name."""

    name: str
    nuid: str
    size: int = 0
    chunks: int = 0
    digest: str = ""
    metadata: dict[str, str] = {}
    bucket: str = _BUCKET
    mtime: str = ""
    options: _Options = _Options()
    deleted: bool = False  # by somebody else: we leave no name behind

    @property
    def content(self) -> Content:
        return Content(self.nuid, self.chunks, self.size, self.digest)


class Writer:
    """Puts an object into the store as its bytes come. What is not finished is nobody's, and expires."""

    def __init__(self, nc: Client, seconds: int, hold: Hold) -> None:
        """The object is kept for `seconds`."""
        self._nc = nc
        self._seconds = seconds
        self._hold = hold
        self._nuid = uuid.uuid4().hex
        self._rest = bytearray()
        self._chunks = 0
        self._hash = hashlib.sha256()
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Raises TooLarge when the store is full."""
        self.size += len(data)
        self._rest += data
        while len(self._rest) >= _CHUNK:
            await self._send(bytes(self._rest[:_CHUNK]))
            del self._rest[:_CHUNK]

    async def finish(self, name: str, metadata: dict[str, str], seconds: int) -> Object:
        """Give it its name, for `seconds`; another of this name is replaced."""
        if self._rest:
            await self._send(bytes(self._rest))
            self._rest.clear()
        found = Object(
            name=name,
            nuid=self._nuid,
            size=self.size,
            chunks=self._chunks,
            digest=_digest(self._hash.digest()),
            metadata=metadata,
            mtime=dt.datetime.now(dt.UTC).isoformat(),
        )
        before = await get(self._nc, name, self._hold)
        headers = {_ROLLUP: "sub", _TTL: f"{seconds}s"}
        await self._put(_meta(name), encode(found), headers)
        if before is not None:
            await _forget(self._nc, before.nuid, self._hold)
        return found

    async def abort(self) -> None:
        await _forget(self._nc, self._nuid, self._hold)

    async def _send(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        # The id: one that has to be sent twice is stored once.
        headers = {_MSG_ID: f"{self._nuid}.{self._chunks}", _TTL: f"{self._seconds + _LONGER}s"}
        await self._put(_chunk(self._nuid), chunk, headers)
        self._chunks += 1

    async def _put(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        try:
            await stored.put(self._nc, subject, payload, headers, self._hold)
        except NotStored as error:
            if error.fault not in FULL:
                raise
            reason = "There is no room for more files; delete some, or wait until some have expired."
            raise TooLarge(reason, param="file", code="storage_full") from None


async def get(nc: Client, name: str, hold: Hold) -> Object | None:
    found = await stored.look(nc, _STREAM, _meta(name), hold)
    return None if found is None else told(found)


async def delete(nc: Client, found: Object, hold: Hold) -> None:
    """The name first: nobody shall begin to read what is about to go."""
    await stored.purge(nc, _STREAM, _meta(found.name), hold)
    await _forget(nc, found.nuid, hold)


def every(nc: Client) -> AsyncIterator[Stored]:
    """What is told() of each, oldest first."""
    return stored.read(nc, _STREAM, f"$O.{_BUCKET}.M.*")


def told(message: Stored) -> Object | None:
    """None for one that was removed. Raises BadRequest for what is none of ours."""
    found = decode(Object, message.data)
    return None if found.deleted else found


async def read(nc: Client, content: Content) -> AsyncGenerator[bytes]:
    """Its bytes, of which the last come only if all are what was put there. Raises NotFound."""
    seen, digest = 0, hashlib.sha256()
    async for message in stored.read(nc, _STREAM, _chunk(content.nuid), at_once=_CHUNKS_AT_ONCE):
        seen += 1
        digest.update(message.data)
        if seen == content.chunks and _digest(digest.digest()) != content.digest:
            break
        yield message.data
        if seen == content.chunks:
            return
    if content.chunks:
        raise NotFound("The file's content is not there any more, or damaged.", code="file_not_found")


async def _forget(nc: Client, nuid: str, hold: Hold) -> None:
    await stored.purge(nc, _STREAM, _chunk(nuid), hold)


def _meta(name: str) -> str:
    return f"$O.{_BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _chunk(nuid: str) -> str:
    return f"$O.{_BUCKET}.C.{nuid}"


def _digest(digest: bytes) -> str:
    return f"SHA-256={base64.urlsafe_b64encode(digest).decode()}"
