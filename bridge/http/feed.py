"""`GET /analyses/stream`: analyses as they come. Each one's `id` is its sequence, from which a reader goes on."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator

from aiohttp import web

from bridge.client import analyses
from bridge.http import listener, query, sse
from bridge.http.analyses import Filter
from bridge.http.auth import needs
from bridge.http.context import CALL, NATS
from bridge.keys import Scope
from schemas.errors import BadRequest, LlmError
from schemas.runtime import connection

_LOOK_EVERY = 1.0  # seconds; looking costs one small request
_ID = re.compile(r"[0-9]{1,15}")


class Start(Filter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without a cursor it begins with what comes from now on."""

    cursor: query.Cursor | None = None


@needs(Scope.BATCH)
async def stream(request: web.Request) -> web.StreamResponse:
    asked = query.read(request, Start)
    start = _last_id(request)
    connection.require(request.app[NATS])
    newest = await analyses.newest(request.app[NATS])
    # A cursor beyond the end is of a stream that is no more: it would wait for ever.
    cursor = min(newest, next((one for one in (start, asked.cursor) if one is not None), newest))
    return await sse.send(request, _events(request, asked.wanted(), cursor))


def _last_id(request: web.Request) -> int | None:
    name = "Last-Event-ID"
    text = request.headers.get(name)
    if not text:
        return None
    if not _ID.fullmatch(text):
        raise BadRequest(f"`{name}` is the `id` of an event, a number.", param=name, code="invalid_value")
    return int(text)


async def _events(request: web.Request, wanted: analyses.Wanted, cursor: int) -> AsyncGenerator[bytes]:
    """Until the reader leaves or the bridge stops; or an error, for which the status is sent already."""
    call, nc = request[CALL], request.app[NATS]
    call.chunks = 0
    yield sse.BEAT  # proxies show nothing of an answer without a body
    reached, quiet_since = cursor, time.monotonic()
    try:
        while listener.stays(request):
            async for sequence, analysis in analyses.after(nc, wanted, reached):
                reached = sequence
                if analysis is not None:
                    call.chunks += 1
                    quiet_since = time.monotonic()
                    yield _event(sequence, analysis)
            if time.monotonic() - quiet_since >= sse.BEAT_EVERY:
                quiet_since = time.monotonic()
                yield sse.BEAT
            await listener.pause(request, _LOOK_EVERY)
    except LlmError as error:
        call.broken = error.status
        yield sse.error(error)


def _event(sequence: int, analysis: bytes) -> bytes:
    """A line's end within JSON is a blank like others; within an event it would be the end of the data."""
    return b"id: %d\ndata: %b\n\n" % (sequence, b" ".join(analysis.splitlines()))
