"""`/docs`: Swagger UI over `/openapi.json`, all of it from this package, so that it works without the internet."""

from __future__ import annotations

import functools
from importlib import resources

from aiohttp import web

from schemas.errors import NotFound

PATH = "/docs"
FILE_PATH = "/docs/{file}"
FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
}
# It runs scripts, styles itself and asks this bridge, and nothing of anybody else; icons are within its style sheet.
_MAY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
_HEADERS = {
    "Content-Security-Policy": f"{_MAY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


async def index(_: web.Request) -> web.Response:
    return web.Response(body=_read("index.html"), content_type="text/html", headers=_HEADERS)


async def file(request: web.Request) -> web.Response:
    """One of the files that the page loads. Raises NotFound."""
    name = request.match_info["file"]
    if name not in FILES:
        raise NotFound("The page has no such file.", code="not_found")
    return web.Response(
        body=_read(name),
        content_type=FILES[name],
        charset="utf-8",
        # A browser asks again each day; a newer version of ours may bring a newer page.
        headers={"Cache-Control": "private, max-age=86400"},
    )


@functools.cache
def _read(name: str) -> bytes:
    return (resources.files("bridge.http") / "assets" / "swagger-ui" / name).read_bytes()
