"""What every handler needs, kept in the application; what is known of one request, kept in the request."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from aiohttp import web

from bridge.client import Client
from bridge.settings import Settings
from schemas import subjects

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass
class Call:
    """One request on its way; handlers fill in the rest for its log line."""

    request_id: str
    traceparent: str | None
    deadline: str | None = None
    model: str | None = None
    chunks: int | None = None
    broken: int | None = None  # the status of an error that came after the first chunk

    def notes(self) -> dict[str, object]:
        found = {"model": self.model, "chunks": self.chunks, "broken": self.broken}
        return {name: value for name, value in found.items() if value is not None}

    def headers(self) -> dict[str, str]:
        """What goes along to the worker."""
        found = {subjects.REQUEST_ID: self.request_id}
        if self.traceparent is not None:
            found[subjects.TRACEPARENT] = self.traceparent
        if self.deadline is not None:
            found[subjects.DEADLINE] = self.deadline
        return found


SETTINGS = web.AppKey("settings", Settings)
NATS = web.AppKey("nats", Client)
CALL = web.RequestKey("call", Call)


def new_call(request: web.Request) -> Call:
    """The client's own id and trace where they can travel as a subject and a header, else none of them."""
    own = request.headers.get("X-Request-Id", "")
    trace = request.headers.get("Traceparent", "").strip()
    deadline = request.headers.get(subjects.DEADLINE)
    return Call(
        request_id=own if subjects.is_request_id(own) else uuid.uuid4().hex,
        traceparent=trace if _TRACEPARENT.fullmatch(trace) else None,
        # What is no time is the worker's to refuse; what no header can carry is no time.
        deadline=deadline if deadline is None or deadline.isascii() else "unreadable",
    )
