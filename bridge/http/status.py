"""`GET /`: what this is and who is there, as JSON for programs and a page for people."""

from __future__ import annotations

import importlib.metadata

import msgspec
from aiohttp import web

from bridge.http import errors, page
from bridge.http.context import NATS
from schemas.codec import encode
from schemas.errors import Unavailable
from schemas.presence import Presence
from schemas.runtime import presence

_LINKS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/models", "/analyses", "/dead"]
_LINKS += ["/overview", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi.json"]
_DOCUMENT = page.assemble()


class About(msgspec.Struct, frozen=True):
    """Which program this is, who is there, and where to go on."""

    service: str
    version: str
    workers: list[Presence]
    links: list[str]


async def index(request: web.Request) -> web.Response:
    if page.wanted(request):
        headers = {"Content-Security-Policy": _DOCUMENT.policy}
        return web.Response(text=_DOCUMENT.html, content_type="text/html", headers=headers)
    try:
        workers = await presence.workers(request.app[NATS])
    except Unavailable:
        workers = []  # this is for whoever asks why nothing works: it must come up; /readyz says why
    return errors.json(encode(About("nats-mlx", _version(), workers, _LINKS)))


def _version() -> str:
    try:
        return importlib.metadata.version("nats-mlx")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # run from a folder that was never installed
