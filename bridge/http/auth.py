"""Who asks, and whether they may: API keys wherever there are any, or strangers could come in."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.http import docs, errors, origins, page
from bridge.http.context import CALL, GUARD, METERS
from bridge.keys import Scope
from schemas.errors import Forbidden, Unauthorized

_Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Probes have no keys, and learn nothing but yes or no.
OPEN = {"/healthz", "/readyz"}
# What describes the project is the same everywhere, and tells nothing of a house.
OPEN |= {
    "/openapi.json",
    "/asyncapi.json",
    docs.PATH,
    docs.FILE_PATH,
    *(f"{docs.PATH}/{name}" for name in docs.FILES),
}


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The innermost middleware: an answer that it gives is an error like all others."""
    if request.path in OPEN or page.wanted(request):
        return await handler(request)
    door = request.app[GUARD]
    if not door.required():
        origins.refuse_strangers(request)
        return await handler(request)
    try:
        request[CALL].key = door.find(_token(request))
    except Unauthorized as error:
        return _challenge(error)
    return await handler(request)


def needs(*scopes: Scope) -> Callable[[_Endpoint], _Endpoint]:
    """For handlers that are not every key's: it must have one of these scopes, and limits that are not used up."""

    def decorate(handler: _Endpoint) -> _Endpoint:
        @functools.wraps(handler)
        async def checked(request: web.Request) -> web.StreamResponse:
            call = request[CALL]
            if call.key is None:
                return await handler(request)
            if not set(scopes) & set(call.key.scopes):
                raise Forbidden(f"This API key lacks the scope `{scopes[0]}`.", code="missing_scope")
            call.meter = request.app[METERS].of(call.key)
            with call.meter.visit() as call.visit:
                return await handler(request)

        return checked

    return decorate


def _challenge(error: Unauthorized) -> web.Response:
    response = errors.answer(error)
    response.headers.add("WWW-Authenticate", 'Bearer realm="nats-mlx"')
    return response


def _token(request: web.Request) -> str:
    """Raises Unauthorized. Two headers are refused: two parties could each believe in another one."""
    found = request.headers.getall("Authorization", [])
    if not found:
        raise Unauthorized("This needs an API key, as `Authorization: Bearer <key>`.")
    scheme, _, value = found[0].strip().partition(" ")
    if len(found) > 1:
        _unreadable()
    if scheme.lower() != "bearer" or not value.strip():
        _unreadable()
    return value.strip()


def _unreadable() -> NoReturn:
    raise Unauthorized("The Authorization header is not one `Bearer <key>`.")
