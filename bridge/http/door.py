"""Where connections come in: aiohttp's own protocol with limits, and with errors that look like ours."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from bridge.http import errors
from bridge.http.context import call_of
from bridge.http.headers import PLAIN
from bridge.settings import Settings
from schemas.errors import BadRequest, LlmError
from schemas.runtime import log

_log = log.get("bridge.http")
_MAX_LINE = 8190  # bytes of the request line, and of each header
_MAX_HEADERS = 64


class Site(web.BaseSite):
    """Listens as aiohttp's TCPSite does, for connections of our own kind."""

    __slots__ = ("_settings",)

    def __init__(self, runner: web.AppRunner, settings: Settings) -> None:
        super().__init__(runner)
        self._settings = settings

    @property
    def name(self) -> str:
        return f"http://{self._settings.host}:{self._settings.port}"

    async def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        await super().start()
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {
            # Also the time for a head to arrive: it runs from the connection, or from the answer before.
            "keepalive_timeout": self._settings.client_timeout,
            "max_line_size": _MAX_LINE,
            "max_field_size": _MAX_LINE,
            "max_headers": _MAX_HEADERS,
            "access_log": None,  # observe() has the one line
        }
        assert self._runner.server is not None  # the runner is set up
        factory = functools.partial(_Door, self._runner.server, loop=loop, **options)
        self._server = await loop.create_server(factory, self._settings.host, self._settings.port)


class _Door(web.RequestHandler):
    """What aiohttp answers before, beside or after the application."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the signature is aiohttp's
    ) -> web.StreamResponse:
        """Bytes that are no HTTP, and faults. The original would log what was sent, a key perhaps."""
        if isinstance(exc, ConnectionError) or request.writer.output_size:
            raise ConnectionError("The client is gone, or has a part of an answer already.")
        assert isinstance(request, web.Request)  # the application makes them
        request_id = call_of(request).request_id
        error: LlmError = BadRequest(
            f"This is not valid HTTP of up to {_MAX_HEADERS} headers.", code="invalid_http"
        )
        if isinstance(exc, LineTooLong):
            status = 431
            error = BadRequest(
                f"The request line and each header may have {_MAX_LINE} bytes.", code="header_too_long"
            )
        elif isinstance(exc, UnicodeError):
            status = 400  # aiohttp quotes an `Expect` that nobody can write
        elif status != 400:
            error = LlmError("The bridge failed on this request; its log tells why under x-request-id.")
        if status < 500:
            _log.info("bad_http", request_id=request_id, status=status, reason=type(exc).__name__)
        else:
            _log.error("unexpected_error", request_id=request_id, exc_info=exc)
        response = errors.answer(error, status)
        response.headers.update(PLAIN | {"X-Request-Id": request_id})
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What is wrong with the rest of a body, after its answer, is no fault of ours."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError | ConnectionError):
            super().log_exception(*args, **kw)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """What aiohttp raises before the application's middlewares (417) has its own look until here."""
        if isinstance(resp, web.HTTPException) and isinstance(request, web.Request):
            request_id = call_of(request).request_id
            _log.info("bad_http", request_id=request_id, status=resp.status, reason=resp.reason)
            resp = errors.of_aiohttp(request, resp)
        return await super().finish_response(request, resp, start_time)
