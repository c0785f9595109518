"""A request's body: all of it within its time and size, and shaped so that whoever decodes it is safe."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridge import depth
from bridge.http.context import SETTINGS
from schemas.errors import TooLarge, TooSlow, UnsupportedMedia


async def read_json(request: web.Request) -> bytes:
    """As read(), of what says that it is JSON, or nothing of what it is. Raises UnsupportedMedia."""
    kind = request.content_type
    if "Content-Type" in request.headers and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMedia(f"This path takes the content type `application/json`, not `{kind}`.")
    return await read(request)


async def read(request: web.Request) -> bytes:
    """Raises TooLarge, TooSlow or BadRequest."""
    settings = request.app[SETTINGS]
    if (request.content_length or 0) > settings.max_body:
        raise too_large(settings.max_body)
    try:
        async with asyncio.timeout(settings.client_timeout):
            body = await request.read()
    except TimeoutError:
        raise TooSlow(
            f"The request body did not arrive within {settings.client_timeout:g} seconds."
        ) from None
    depth.check(body)
    return body


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is over the limit of {limit} bytes.")
