"""Probes: `/healthz` says that this process lives, `/readyz` that a request would find a worker."""

from __future__ import annotations

import msgspec
from aiohttp import web

from bridge.http import errors
from bridge.http.context import NATS
from schemas.codec import encode
from schemas.errors import Unavailable
from schemas.runtime import presence


class Live(msgspec.Struct, frozen=True):
    status: str = "live"


class Ready(msgspec.Struct, frozen=True):
    """`workers` is how many there are."""

    workers: int
    status: str = "ready"


async def live(_: web.Request) -> web.Response:
    return errors.json(encode(Live()))


async def ready(request: web.Request) -> web.Response:
    """Raises Unavailable with the reason."""
    workers = await presence.workers(request.app[NATS])
    if not workers:
        raise Unavailable("No worker is there at the moment; start one with `nats-mlx worker`.")
    return errors.json(encode(Ready(len(workers))))
