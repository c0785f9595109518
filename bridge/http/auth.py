"""Who asks, and whether they may: API keys wherever there are any, or strangers could come in."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge import keys
from bridge.http import errors, origins
from bridge.http.context import CALL, GUARD, METERS
from bridge.keys import Key, KeyFile, Scope
from bridge.settings import Settings
from schemas.errors import Forbidden, Unauthorized

_Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Probes have no keys, and learn nothing but yes or no.
OPEN = {"/healthz", "/readyz"}
# A browser can show these to a person who types a key as the password. Nowhere else: a browser would add that
# password to other sites' requests too.
_PAGES = {"/"}


class Guard:
    """`strict`: also while there is no key at all."""

    def __init__(self, file: KeyFile, strict: bool) -> None:
        self._file = file
        self._strict = strict

    def required(self) -> bool:
        """Once there was a key, for good: revoking the last one must not open the door."""
        self._strict = self._strict or bool(self._file.all())
        return self._strict

    def find(self, token: str) -> Key:
        found = self._file.find(token)
        if found is None:
            raise Unauthorized("This API key is not known here; it may have been revoked.")
        return found


def guard(settings: Settings) -> tuple[Guard, KeyFile]:
    file = KeyFile(keys.path(settings))
    return Guard(file, strict=not keys.is_loopback(settings.host)), file


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The innermost middleware: an answer that it gives is an error like all others."""
    if request.path in OPEN:
        return await handler(request)
    door = request.app[GUARD]
    if not door.required():
        origins.refuse_strangers(request)
        return await handler(request)
    try:
        request[CALL].key = door.find(_token(request))
    except Unauthorized as error:
        return _challenge(request, error)
    return await handler(request)


def needs(scope: Scope) -> Callable[[_Endpoint], _Endpoint]:
    """For handlers that make the workers work: the key must have this scope, and limits that are not used up."""

    def decorate(handler: _Endpoint) -> _Endpoint:
        @functools.wraps(handler)
        async def checked(request: web.Request) -> web.StreamResponse:
            call = request[CALL]
            if call.key is None:
                return await handler(request)
            if scope not in call.key.scopes:
                raise Forbidden(f"This API key lacks the scope `{scope}`.", code="missing_scope")
            call.meter = request.app[METERS].of(call.key)
            with call.meter.visit() as call.visit:
                return await handler(request)

        return checked

    return decorate


def _challenge(request: web.Request, error: Unauthorized) -> web.Response:
    response = errors.answer(error)
    response.headers.add("WWW-Authenticate", 'Bearer realm="nats-mlx"')
    if request.path in _PAGES:
        response.headers.add("WWW-Authenticate", 'Basic realm="nats-mlx: the API key is the password"')
    return response


def _token(request: web.Request) -> str:
    """Raises Unauthorized. Two headers are refused: two parties could each believe in another one."""
    found = request.headers.getall("Authorization", [])
    if not found:
        raise Unauthorized("This needs an API key, as `Authorization: Bearer <key>`.")
    scheme, _, value = found[0].strip().partition(" ")
    if len(found) > 1:
        _unreadable()
    if scheme.lower() == "basic" and request.path in _PAGES:
        return _password(value.strip())
    if scheme.lower() != "bearer" or not value.strip():
        _unreadable()
    return value.strip()


def _password(value: str) -> str:
    try:
        pair = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        _unreadable()
    return pair.partition(":")[2]


def _unreadable() -> NoReturn:
    raise Unauthorized("The Authorization header is not one `Bearer <key>`.")
