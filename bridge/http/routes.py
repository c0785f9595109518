"""The map of the HTTP side: which path is answered where, and what every request goes through."""

from __future__ import annotations

from aiohttp import web

from bridge.client import Client
from bridge.http import asyncapi, chat, health, models, openapi, status
from bridge.http.context import NATS, SETTINGS
from bridge.http.errors import errors, say_when_closing
from bridge.http.observe import add_request_id, observe
from bridge.settings import Settings


def build(settings: Settings, nc: Client) -> web.Application:
    """`nc` may connect later: until then the answers say so."""
    app = web.Application(middlewares=[observe, errors], client_max_size=settings.max_body)
    app[SETTINGS] = settings
    app[NATS] = nc
    app.on_response_prepare.append(add_request_id)
    app.on_response_prepare.append(say_when_closing)
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat.completions),
            web.get("/v1/models", models.index),
            web.get("/v1/models/{id:.+}", models.retrieve),
            web.get("/healthz", health.live),
            web.get("/readyz", health.ready),
            web.get("/", status.index),
            web.get("/openapi.json", openapi.index),
            web.get("/asyncapi.json", asyncapi.index),
        ]
    )
    return app
