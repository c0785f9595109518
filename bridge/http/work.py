"""Where the work queue is served: for whoever has no NATS client, only HTTP."""

from __future__ import annotations

from aiohttp import web

from bridge.http import analyses, articles, dead, feed

# Slashes belong to an id: many are URLs.
ROUTES = [
    web.post("/articles", articles.create),
    web.get("/articles/{recipe}/{id:.+}", articles.retrieve),
    web.get("/analyses", analyses.index),
    # A HEAD would listen for ever.
    web.get("/analyses/stream", feed.stream, allow_head=False),
    web.get("/analyses/{recipe}/{id:.+}", analyses.retrieve),
    web.get("/dead", dead.index),
    web.get("/dead/{recipe}/{id:.+}", dead.retrieve),
    web.delete("/dead/{recipe}/{id:.+}", dead.remove),
    web.post("/dead/{recipe}/{id:.+}/retry", dead.retry),
]
