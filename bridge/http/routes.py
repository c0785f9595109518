"""The map of the HTTP side: which path is answered where, and what every request goes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from bridge.batches.watch import Watch
from bridge.client import Client
from bridge.client.overview import Observer
from bridge.http import (
    asyncapi,
    auth,
    batch_endpoints,
    completions,
    docs,
    headers,
    health,
    metrics,
    models,
    openapi,
    overview,
    responses,
    status,
    work,
)
from bridge.http.closing import Closing
from bridge.http.context import ACTIVE, CLOSING, GUARD, METERS, NATS, OBSERVER, SETTINGS, STOPPING
from bridge.http.errors import errors, say_when_closing
from bridge.http.guard import guard
from bridge.http.limits import Meters
from bridge.http.observe import observe
from bridge.http.origins import preflight
from bridge.settings import Settings


def build(settings: Settings, nc: Client) -> web.Application:
    """`nc` may connect later: until then the answers say so."""
    middlewares = [observe, errors, preflight, auth.authenticate]
    app = web.Application(middlewares=middlewares, client_max_size=settings.max_body)
    app[SETTINGS] = settings
    app[NATS] = nc
    app[OBSERVER] = Observer(nc)
    app[GUARD], keys = guard(settings)
    app[ACTIVE] = set()
    app[METERS] = Meters(keys.all)
    app[STOPPING] = asyncio.Event()
    app[CLOSING] = Closing()
    app.on_shutdown.append(_stop)
    app.cleanup_ctx.append(_keep_batches)
    app.on_response_prepare.append(headers.dress)
    app.on_response_prepare.append(say_when_closing)
    app.add_routes(
        [
            web.post("/v1/chat/completions", completions.chat),
            web.post("/v1/completions", completions.text),
            web.post("/v1/responses", responses.create),
            web.get("/v1/responses/{id}", responses.retrieve),
            web.get("/v1/responses/{id}/input_items", responses.input_items),
            web.delete("/v1/responses/{id}", responses.delete),
            web.get("/v1/models", models.index),
            web.get("/v1/models/{id:.+}", models.retrieve),
            *batch_endpoints.ROUTES,
            web.get("/healthz", health.live),
            web.get("/readyz", health.ready),
            web.get("/metrics", metrics.index),
            web.get("/", status.index),
            web.get("/overview", overview.index),
            # A HEAD would listen for ever.
            web.get("/overview/stream", overview.stream, allow_head=False),
            *work.ROUTES,
            web.get("/openapi.json", openapi.index),
            web.get(docs.PATH, docs.index),
            web.get(docs.FILE_PATH, docs.file),
            web.get("/asyncapi.json", asyncapi.index),
        ]
    )
    return app


async def _keep_batches(app: web.Application) -> AsyncIterator[None]:
    watch = Watch(app[NATS])
    watch.start()
    yield
    await watch.stop()


async def _stop(app: web.Application) -> None:
    """Feeds would go on for as long as somebody listens, and answers longer than there is time: aiohttp waits twice for
    half of it, then it cuts them off.
    """
    app[STOPPING].set()
    app[CLOSING].begin(app[SETTINGS].shutdown_timeout / 2)
