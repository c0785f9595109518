"""`/analyses`: what came out, in pages and one by one, as the worker wrote it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from bridge.client import analyses, outcomes
from bridge.http import errors, query
from bridge.http.auth import needs
from bridge.http.context import NATS
from bridge.http.listing import Listing
from bridge.http.prompt import promptly
from bridge.keys import Scope
from schemas.articles import Moment
from schemas.codec import encode
from schemas.errors import NotFound


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which analyses; what is left out is any."""

    recipe: query.Recipe | None = None
    source: Annotated[str, Meta(description="The article's `source`.")] | None = None
    coin: Annotated[str, Meta(description="One of the result's `coins`, in any case.")] | None = None
    sentiment: Annotated[str, Meta(description="The result's `sentiment`.")] | None = None

    def wanted(self) -> analyses.Wanted:
        return analyses.Wanted(self.recipe, self.source, self.coin, self.sentiment)


class Pages(Filter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The times are those of the server's clock when it stored them."""

    since: Annotated[Moment, Meta(description="Stored then or later (RFC 3339, with its zone).")] | None = (
        None
    )
    until: Annotated[Moment, Meta(description="Stored then or before.")] | None = None
    cursor: query.Cursor = 0
    limit: query.Limit = 20

    def wanted(self) -> analyses.Wanted:
        return super().wanted()._replace(since=self.since, until=self.until)


@needs(Scope.BATCH)
@promptly
async def index(request: web.Request) -> web.Response:
    asked = query.read(request, Pages)
    page = await analyses.page(request.app[NATS], asked.wanted(), asked.cursor, asked.limit)
    found = [msgspec.Raw(data) for data in page.found]
    return errors.json(encode(Listing(found, page.cursor, page.more)))


@needs(Scope.BATCH)
@promptly
async def retrieve(request: web.Request) -> web.Response:
    article = query.named(request)
    found = await outcomes.analysis(request.app[NATS], article.recipe, article.token)
    if found is None:
        raise NotFound(
            f"There is no analysis of `{article.id}` by the recipe `{article.recipe}`; "
            "`GET /articles/{recipe}/{id}` says where it is.",
            code="not_found",
        )
    return errors.json(found.data)
