"""What every answer carries, whoever gives it: its id, the key's limits, and what keeps browsers in check."""

from __future__ import annotations

from aiohttp import web

from bridge.http import origins
from bridge.http.context import call_of

# Of every answer: nothing is taken for what it does not say it is, and our versions are nobody's business.
PLAIN = {"X-Content-Type-Options": "nosniff", "Server": "nats-mlx"}
# Of pages: they load nothing, run nothing, stand in no frame and tell nobody where somebody came from.
_PAGE = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Runs before any answer of the application is sent, a stream's included."""
    call = call_of(request)
    response.headers["X-Request-Id"] = call.request_id
    response.headers.update(PLAIN)
    if response.content_type == "text/html":
        for name, value in _PAGE.items():
            response.headers.setdefault(name, value)
    if call.meter is not None:
        response.headers.update(call.meter.headers())
    origins.dress(request, response)
