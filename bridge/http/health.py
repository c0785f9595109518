"""Probes: `/healthz` says that this process lives, `/readyz` that a request would find a worker."""

from __future__ import annotations

from aiohttp import web

from bridge.client import presence
from bridge.http import errors
from bridge.http.context import NATS
from schemas.codec import encode
from schemas.errors import Unavailable


async def live(_: web.Request) -> web.Response:
    return errors.json(encode({"status": "live"}))


async def ready(request: web.Request) -> web.Response:
    """Raises Unavailable with the reason."""
    workers = await presence.workers(request.app[NATS])
    if not workers:
        raise Unavailable("No worker is there at the moment; start one with `nats-mlx worker`.")
    return errors.json(encode({"status": "ready", "workers": len(workers)}))
