"""Each request has an id on its answer and one line in the log, however it ends."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.http import deliver
from bridge.http.context import ACTIVE, CALL, Call, new_call
from schemas.errors import Cancelled, LlmError
from schemas.runtime import log, spans

_log = log.get("bridge.http")
# Asked every few seconds by machines.
_PROBES = {"/healthz", "/readyz", "/metrics"}


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware: also the answer's way to its reader is part of a request."""
    request[CALL] = call = new_call(request)
    with log.bound(request_id=call.request_id, trace_id=call.span.here.trace_id):
        return await _observed(request, handler, call)


async def _observed(request: web.Request, handler: Handler, call: Call) -> web.StreamResponse:
    request.app[ACTIVE].add(call.request_id)
    started = time.perf_counter()
    # A client that hangs up cancels the handler or breaks its writes; neither leaves an answer behind.
    status = Cancelled.status
    try:
        response = await handler(request)
        await deliver.finish(request, response)
        status = response.status
    except deliver.ReaderTooSlow as slow:
        call.dropped = str(slow)
        deliver.drop(request)
        raise
    except Exception as error:
        if not isinstance(error, ConnectionError):
            status = LlmError.status
        raise
    finally:
        request.app[ACTIVE].discard(call.request_id)
        _line(request, status, time.perf_counter() - started)
    return response


def _line(request: web.Request, status: int, seconds: float) -> None:
    call = request[CALL]
    probe = request.path in _PROBES
    say = _log.debug if probe else _log.info
    say(
        "request",
        method=request.method,
        path=call.path,
        status=status,
        seconds=round(seconds, 4),
        **call.notes(),
    )
    if probe:
        return
    route = request.match_info.route.resource
    spans.told(
        f"{request.method} {route.canonical if route else 'unknown'}", call.span, seconds, time.time(), "SERVER",
        http__request__method=request.method, http__response__status_code=status, url__path=call.path,
    )  # fmt: skip
