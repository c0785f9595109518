"""The part of the table that is of the house itself: whether it lives, how it stands, and what describes it."""

from __future__ import annotations

from typing import Any

from bridge.client.overview import Overview
from bridge.http import docs
from bridge.http.endpoint import Content, Endpoint, Parameter
from bridge.http.health import Live, Ready
from bridge.http.status import About
from schemas.errors import NotFound, Unavailable

_WORKER = {
    "worker": "mac-4711-1795396962", "version": "0.1.0", "pid": 4711, "host": "mac",
    "models": [{"name": "smollm2-135m-instruct", "aliases": ["starter"], "context": 8192, "loaded": True}],
    "slots": 16, "running": 0, "waiting": 0, "prompt_tokens_per_second": 0, "decode_tokens_per_second": 0,
    "memory_bytes": 1100000000, "started_at": "2026-11-23T01:02:03Z", "updated_at": "2026-11-23T01:02:08Z",
}  # fmt: skip
_OVERVIEW = {
    "workers": [_WORKER],
    "figures": {},
    "queue": {
        "lanes": [{"lane": "norm", "waiting": 93, "in_flight": 16, "oldest_seconds": 612.0}],
        "lines": {"waiting": 40, "in_flight": 0},
        "done": 900, "dead": 1, "ever_done": 900, "ever_dead": 4, "dead_by_reason": {"unknown_recipe": 1},
        "pace": 0.5, "eta_seconds": 218.0,
    },
}  # fmt: skip

HOUSE = (
    Endpoint("get", "/healthz", "This process lives", gives=(Content(Live, {"status": "live"}),)),
    Endpoint(
        "get",
        "/readyz",
        "A request would find a worker",
        gives=(Content(Ready, {"status": "ready", "workers": 1}),),
        errors=(Unavailable,),
    ),
    Endpoint(
        "get",
        "/metrics",
        "Queue and workers, for Prometheus",
        gives=(Content(str, "# TYPE nats_mlx_up gauge\nnats_mlx_up 1.0\n", "text/plain"),),
    ),
    Endpoint(
        "get",
        "/overview",
        "The house at a glance: workers, queue, and when it will be done",
        gives=(Content(Overview, _OVERVIEW),),
        errors=(Unavailable,),
    ),
    Endpoint(
        "get",
        "/overview/stream",
        "The same as it changes",
        gives=(
            Content(
                str,
                'data: {"workers":[],"figures":{},"queue":{}}\n\n',
                "text/event-stream",
                "Server-sent events without an end: an `Overview` after each `data: `; an event `error` has an "
                "`ErrorBody`, and the next look may succeed.",
            ),
        ),
    ),
    Endpoint(
        "get",
        "/",
        "What this is and who is there, as JSON for programs and a page for people",
        gives=(
            Content(
                About,
                {"service": "nats-mlx", "version": "0.1.0", "workers": [_WORKER], "links": ["/v1/models"]},
            ),
            Content(str, "<!doctype html>...", "text/html"),
        ),
    ),
    Endpoint(
        "get", docs.PATH, "This document as a page", gives=(Content(str, "<!doctype html>...", "text/html"),)
    ),
    Endpoint(
        "get",
        docs.FILE_PATH,
        "What the page loads",
        gives=(Content(str, ".swagger-ui{}", "text/css"), Content(str, "window.ui = {}", "text/javascript")),
        errors=(NotFound,),
        parameters=(
            Parameter(
                "file", "path", "Its name.", {"type": "string", "enum": list(docs.FILES)}, "swagger-ui.css"
            ),
        ),
    ),
    Endpoint("get", "/openapi.json", "This document", gives=(Content(dict[str, Any], {"openapi": "3.1.0"}),)),
    Endpoint(
        "get", "/asyncapi.json", "The NATS side", gives=(Content(dict[str, Any], {"asyncapi": "3.0.0"}),)
    ),
)
