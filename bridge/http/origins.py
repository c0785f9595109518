"""Browsers: which pages may read our answers (CORS), and which may not even ask a bridge that needs no key."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.http.context import SETTINGS
from schemas.errors import Forbidden

# Names that nobody can register: a page from there is of somebody who is in this network already.
_PRIVATE = (".localhost", ".local", ".internal", ".lan", ".home", ".home.arpa", ".test")
_EXPOSED = ", ".join(
    ["x-request-id", "retry-after"]
    + [
        f"x-ratelimit-{what}-{of}"
        for what in ("limit", "remaining", "reset")
        for of in ("requests", "tokens")
    ]
)


@web.middleware
async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A browser asks before it sends a key: answered for the origins of the settings only."""
    asked = request.headers.get("Access-Control-Request-Method")
    if request.method != "OPTIONS" or asked is None:
        return await handler(request)
    if not allowed(request):
        raise Forbidden(
            "Pages of this origin may not use this bridge; the setting `cors_origins` lists those that may."
        )
    response = web.Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
    response.headers["Access-Control-Allow-Headers"] = request.headers.get(
        "Access-Control-Request-Headers", ""
    )
    response.headers["Access-Control-Max-Age"] = "600"
    return response


def allowed(request: web.Request) -> bool:
    return request.headers.get("Origin") in request.app[SETTINGS].cors_origins


def dress(request: web.Request, response: web.StreamResponse) -> None:
    if not request.app[SETTINGS].cors_origins:
        return
    response.headers.add("Vary", "Origin")
    if allowed(request):
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def refuse_strangers(request: web.Request) -> None:
    """Raises Forbidden where a page of the open web asks, by its origin or by a name that it made point at us.

    Without keys, whatever runs in the browser of this machine could otherwise use the model and read along.
    """
    origin = request.headers.get("Origin")
    by_origin = origin is not None and not allowed(request) and not _is_near(origin)
    # Of the header itself: without one, which no browser does, `request.host` would look this machine's name up.
    host = request.headers.get("Host")
    if by_origin or (host is not None and not _is_private(_host(f"//{host}"))):
        raise Forbidden(
            "Without API keys only this machine's own names and pages are served: "
            "`nats-mlx keys new NAME --scope chat` makes a key.",
            code="foreign_origin",
        )


def _is_near(origin: str) -> bool:
    """Programs with a scheme of their own (`vscode-webview:`) are no pages of the web."""
    scheme, colon, _ = origin.partition(":")
    if scheme not in ("http", "https"):
        return bool(colon)
    host = _host(origin)
    return _is_private(host) and not _is_public_address(host or "")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_public_address(host: str) -> bool:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_global


def _is_private(host: str | None) -> bool:
    """An address, for no name was made to point here then; or a name that no public one can be."""
    if not host:
        return False
    name = host.lower().rstrip(".")
    return "." not in name or ":" in name or name.replace(".", "").isdigit() or name.endswith(_PRIVATE)
