"""What every handler needs, kept in the application; what is known of one request, kept in the request."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from aiohttp import web

from bridge.client import Client
from bridge.client.overview import Observer
from bridge.http.closing import Closing
from bridge.http.guard import Guard
from bridge.http.limits import Meter, Meters, Visit
from bridge.keys import Key
from bridge.settings import Settings
from schemas import subjects
from schemas.runtime import spans
from schemas.runtime.spans import Span

# Clients choose their requests' ids, and another bridge knows nothing of ours.
_CALLER = uuid.uuid4().hex


@dataclass
class Call:
    """One request on its way; handlers fill in the rest for its log line. Without keys, `key` is None."""

    request_id: str
    path: str
    span: Span
    deadline: str | None = None
    model: str | None = None
    chunks: int | None = None
    broken: int | None = None  # the status of an error that came after the first chunk
    dropped: str | None = None  # why the bridge itself hung up
    key: Key | None = None
    meter: Meter | None = None
    visit: Visit | None = None

    def notes(self) -> dict[str, object]:
        found: dict[str, object] = {
            "model": self.model,
            "chunks": self.chunks,
            "broken": self.broken,
            "dropped": self.dropped,
        }
        found["key"] = self.key and self.key.name
        return {name: value for name, value in found.items() if value is not None}

    def pay(self, tokens: int) -> None:
        """What it has cost so far, in all."""
        if self.visit is not None:
            self.visit.pay(tokens)

    def headers(self) -> dict[str, str]:
        """What goes along to the worker."""
        found = {subjects.REQUEST_ID: self.request_id, subjects.CALLER: _CALLER, **self.span.here.headers}
        if self.deadline is not None:
            found[subjects.DEADLINE] = self.deadline
        return found


SETTINGS = web.AppKey("settings", Settings)
NATS = web.AppKey("nats", Client)
OBSERVER = web.AppKey("observer", Observer)
ACTIVE = web.AppKey("active", set[str])  # ids of requests on their way
STOPPING = web.AppKey("stopping", asyncio.Event)  # set at the end of the process
CLOSING = web.AppKey("closing", Closing)
METERS = web.AppKey("meters", Meters)
GUARD = web.AppKey("guard", Guard)
CALL = web.RequestKey("call", Call)


def new_call(request: web.Request) -> Call:
    """The client's own id and trace where they can travel as a subject and a header, else new ones.

    An id that is in use is not given twice: whoever hangs up cancels it, and must not cancel somebody else's.
    """
    own = request.headers.get("X-Request-Id", "")
    usable = subjects.is_request_id(own) and own not in request.app[ACTIVE]
    deadline = request.headers.get(subjects.DEADLINE)
    return Call(
        request_id=own if usable else uuid.uuid4().hex,
        # Bytes that are no UTF-8 come as surrogates, which neither JSON nor a log can write.
        path=request.path.encode("utf-8", "replace").decode(),
        span=spans.of(request.headers),
        # What is no time is the worker's to refuse; what no header can carry is no time.
        deadline=deadline if deadline is None or deadline.isascii() else "unreadable",
    )


def call_of(request: web.Request) -> Call:
    """Also of a request that aiohttp refused before any of our own code saw it."""
    if CALL not in request:
        request[CALL] = new_call(request)
    return request[CALL]
