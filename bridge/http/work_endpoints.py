"""The part of the table that is of the work queue: `/articles`, `/analyses` and `/dead`."""

from __future__ import annotations

from typing import Any

from bridge.http import analyses, articles, dead, feed
from bridge.http.endpoint import Content, Endpoint, Parameter
from bridge.http.listing import Listing
from bridge.http.receipt import Receipt
from schemas.articles import Analysis, Article
from schemas.errors import (
    BadRequest,
    Conflict,
    LlmError,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    Unprocessable,
)

_ARTICLE = {"id": "a1", "title": "Bitcoin rises", "body": "Bitcoin rose 5 percent today."}
_RECEIPT = {
    "counts": {"queued": 1, "waiting_already": 0, "analysed_already": 0, "refused": 0, "not_sent": 0},
    "data": [{"line": 1, "status": "queued", "id": "a1"}],
    "object": "list",
}
_ANALYSIS = {
    "id": "a1", "recipe": "coin", "recipe_version": "1", "model": "smollm2-135m-instruct",
    "article": {"title": "Bitcoin rises", "url": None, "source": None, "published_at": None},
    "result": {
        "sentiment": "bullish", "coins": ["BTC"], "importance": 3, "summary": "Bitcoin rose.", "confidence": 0.8,
    },
    "usage": {"prompt_tokens": 330, "completion_tokens": 40, "total_tokens": 370},
    "timings": {"queued": 0.1, "prefill": 1.2, "decode": 2.4, "total": 3.7},
    "attempts": 1, "worker": "mac-4711-1795396962", "finished_at": "2026-11-23T01:02:03Z", "cached": False,
}  # fmt: skip
_DEAD = {
    "id": "a2",
    "recipe": "coin",
    "letter": {
        "subject": "articles.norm.coin.a2", "stream": "ARTICLES", "sequence": 7, "reason": "answer_too_long",
        "error": "The answer did not end.", "attempts": 1, "worker": "mac-4711-1795396962",
        "failed_at": "2026-11-23T01:02:03Z", "first_published": "2026-11-23T01:02:00Z", "replace": False,
    },
}  # fmt: skip
_WHEREABOUTS = {
    "id": "a1", "recipe": "coin", "status": "analysed", "since": "2026-11-23T01:02:03Z", "lane": None,
    "analysis": "/analyses/coin/a1", "dead": None, "reason": None, "error": None,
}  # fmt: skip
_NAMED = (
    Parameter("recipe", "path", "The name of a recipe.", {"type": "string", "minLength": 1}, "coin"),
    Parameter(
        "id", "path", "The article's id; slashes belong to it.", {"type": "string", "minLength": 1}, "a1"
    ),
)
_LAST_ID = Parameter(
    "Last-Event-ID",
    "header",
    "The `id` of the last event that was seen; it goes before the cursor.",
    {"type": "string", "pattern": "^[0-9]{1,15}$"},
    "4711",
)
_LOOKS: tuple[type[LlmError], ...] = (BadRequest, Unavailable)


def _page(of: Any) -> dict[str, Any]:
    return {"data": [of], "cursor": 4711, "has_more": False, "object": "list"}


WORK = (
    Endpoint(
        "post",
        "/articles",
        "Articles onto the queue: one, several, or a file of any length",
        takes=Content(Article | list[Article], _ARTICLE),
        also=tuple(
            Content(str, '{"title":"Bitcoin rises","body":"..."}\n', media, "An article a line, streamed.")
            for media in articles.LINES
        ),
        gives=(Content(Receipt, _RECEIPT),),
        errors=(BadRequest, TooLarge, Unprocessable, Overloaded, Unavailable),
        query=articles.Options,
        status=202,
    ),
    Endpoint(
        "get",
        "/articles/{recipe}/{id}",
        "Where an article is",
        gives=(Content(articles.Whereabouts, _WHEREABOUTS),),
        errors=(*_LOOKS, NotFound),
        parameters=_NAMED,
    ),
    Endpoint(
        "get",
        "/analyses",
        "Analyses, oldest first, in pages",
        gives=(Content(Listing[Analysis], _page(_ANALYSIS)),),
        errors=_LOOKS,
        query=analyses.Pages,
    ),
    Endpoint(
        "get",
        "/analyses/stream",
        "Analyses as they come",
        gives=(
            Content(
                str,
                'id: 4711\ndata: {"id":"a1","recipe":"coin"}\n\n',
                "text/event-stream",
                "An `Analysis` after each `data: `, comments while there is none; `event: error` before a bad end.",
            ),
        ),
        errors=_LOOKS,
        parameters=(_LAST_ID,),
        query=feed.Start,
    ),
    Endpoint(
        "get",
        "/analyses/{recipe}/{id}",
        "One analysis",
        gives=(Content(Analysis, _ANALYSIS),),
        errors=(*_LOOKS, NotFound),
        parameters=_NAMED,
    ),
    Endpoint(
        "get",
        "/dead",
        "Dead letters, oldest first, in pages",
        gives=(Content(Listing[dead.Dead], _page(_DEAD)),),
        errors=_LOOKS,
        query=dead.Pages,
    ),
    Endpoint(
        "get",
        "/dead/{recipe}/{id}",
        "One dead letter with its article",
        gives=(Content(dead.DeadArticle, _DEAD | {"payload": '{"title":"t","body":"b"}'}),),
        errors=(*_LOOKS, NotFound),
        parameters=_NAMED,
    ),
    Endpoint(
        "delete",
        "/dead/{recipe}/{id}",
        "Remove a dead letter for good",
        gives=(Content(dead.Fate, {"id": "a2", "recipe": "coin", "status": "removed"}),),
        errors=(*_LOOKS, NotFound),
        parameters=_NAMED,
    ),
    Endpoint(
        "post",
        "/dead/{recipe}/{id}/retry",
        "Send a dead article again, under the same id",
        gives=(Content(dead.Fate, {"id": "a2", "recipe": "coin", "status": "sent again"}),),
        errors=(*_LOOKS, NotFound, Conflict, Overloaded),
        parameters=_NAMED,
    ),
)
