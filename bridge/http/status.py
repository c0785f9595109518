"""`GET /`: what this is and who is there, as JSON for programs and a small page for people."""

from __future__ import annotations

import html
import importlib.metadata

import msgspec
from aiohttp import web

from bridge.client import presence
from bridge.http import errors
from bridge.http.context import NATS
from schemas.codec import encode
from schemas.errors import Unavailable
from schemas.presence import Presence

_LINKS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/models", "/analyses", "/dead"]
_LINKS += ["/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json"]
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>nats-mlx</title>
<h1>nats-mlx {version}</h1>
<h2>Workers</h2><ul>{workers}</ul>
<h2>Here</h2><ul>{links}</ul>
</html>
"""


class About(msgspec.Struct, frozen=True):
    """Which program this is, who is there, and where to go on."""

    service: str
    version: str
    workers: list[Presence]
    links: list[str]


async def index(request: web.Request) -> web.Response:
    try:
        workers = await presence.workers(request.app[NATS])
    except Unavailable:
        workers = []  # this page is for whoever asks why nothing works: it must come up; /readyz says why
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(text=_page(workers), content_type="text/html")
    return errors.json(encode(About("nats-mlx", _version(), workers, _LINKS)))


def _version() -> str:
    try:
        return importlib.metadata.version("nats-mlx")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # run from a folder that was never installed


def _page(workers: list[Presence]) -> str:
    rows = [f"{worker.worker}: {', '.join(card.name for card in worker.models)}" for worker in workers]
    links = [f'<a href="{link}">{link}</a>' for link in _LINKS]
    return _PAGE.format(
        version=html.escape(_version()),
        workers=_items([html.escape(row) for row in rows or ["none at the moment"]]),
        links=_items(links),
    )


def _items(rows: list[str]) -> str:
    return "".join(f"<li>{row}</li>" for row in rows)
