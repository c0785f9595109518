"""A request's body: all of it within its time and size, and shaped so that whoever decodes it is safe."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from bridge.http.context import SETTINGS
from schemas.errors import BadRequest, TooLarge, TooSlow, UnsupportedMedia

# Decoders and templates recurse. What people send is ten levels deep, a schema of tools perhaps twenty.
_MAX_DEPTH = 128
_STRINGS_AND_BRACKETS = re.compile(rb'"((?:[^"\\]|\\.)*+)"|[][{}]', re.DOTALL)


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
    check_depth(body)
    return body


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is over the limit of {limit} bytes.")


def check_depth(body: bytes) -> None:
    """Raises BadRequest naming the field that is nested too deeply."""
    if body.count(b"{") + body.count(b"[") <= _MAX_DEPTH:
        return  # nearly all requests: so few brackets cannot nest deeper
    depth, field = 0, b""
    for token in _STRINGS_AND_BRACKETS.finditer(body):
        match token[0]:
            case b"{" | b"[":
                depth += 1
                if depth > _MAX_DEPTH:
                    raise _too_deep(field)
            case b"}" | b"]":
                depth -= 1
            case _ if depth == 1:
                field = token[1]


def _too_deep(field: bytes) -> BadRequest:
    name = field.decode("utf-8", "replace")
    where = f"`{name}`" if name else "The payload"
    return BadRequest(
        f"{where} is nested more than {_MAX_DEPTH} levels deep.", param=name or None, code="invalid_value"
    )
