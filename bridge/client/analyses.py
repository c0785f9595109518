"""Analyses by what they say: a page of them, or those among the ones that come."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from nats.aio.client import Client

from bridge.client import pages, stored
from bridge.client.pages import Page
from bridge.client.stored import Stored
from schemas import streams, subjects
from schemas.codec import decode
from schemas.errors import BadRequest

_EPOCH, _MICROSECOND = dt.datetime.fromtimestamp(0, dt.UTC), dt.timedelta(microseconds=1)


class _Article(msgspec.Struct, frozen=True):
    source: str | None = None


class _Look(msgspec.Struct, frozen=True):
    """As much as a choice needs; a recipe's results may be of any shape."""

    article: _Article
    result: Any

    def says(self, field: str) -> Any:
        return self.result.get(field) if isinstance(self.result, dict) else None


class Wanted(NamedTuple):
    """None is any; the times are of the moment when it was stored."""

    recipe: str | None = None
    source: str | None = None
    coin: str | None = None
    sentiment: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    @property
    def subject(self) -> str:
        return subjects.analysis(self.recipe or "*", "*")

    @property
    def picky(self) -> bool:
        """Whether the subject alone does not tell."""
        return (self.source, self.coin, self.sentiment) != (None, None, None)

    @property
    def begin(self) -> dt.datetime | None:
        """Where to read from: times are told in microseconds, and the server counts nanoseconds."""
        return max(self.since, _EPOCH) - _MICROSECOND if self.since else None

    def takes(self, message: Stored) -> bool:
        """Nothing that is no analysis, whoever put it there."""
        with contextlib.suppress(BadRequest):
            if self.since is not None and message.at < self.since:
                return False
            return self._fits(decode(_Look, message.data))
        return False

    def _fits(self, look: _Look) -> bool:
        return (
            (self.source is None or look.article.source == self.source)
            and (self.sentiment is None or look.says("sentiment") == self.sentiment)
            and (self.coin is None or _names(look.says("coins"), self.coin))
        )


def _names(coins: Any, coin: str) -> bool:
    """Tickers are told in any case."""
    return isinstance(coins, list) and coin.upper() in (str(one).upper() for one in coins)


async def page(nc: Client, wanted: Wanted, cursor: int, limit: int) -> Page[bytes]:
    """Oldest first."""

    def keep(message: Stored) -> bytes | None:
        return message.data if wanted.takes(message) else None

    seen = 0 if cursor or wanted.begin is None or wanted.until else await newest(nc)
    found = stored.read(
        nc,
        streams.ANALYSES.name,
        wanted.subject,
        cursor + 1,
        since=None if cursor else wanted.begin,
        at_once=stored.BATCH if wanted.picky else limit + 1,
    )
    filled = await pages.fill(found, keep, cursor, limit, wanted.until)
    # Nothing so late: what comes after this page is not all that came before that time.
    return filled if filled.cursor else filled._replace(cursor=seen)


async def after(nc: Client, wanted: Wanted, cursor: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Each sequence above the cursor that there is now, with the analysis if it is wanted."""
    async for message in stored.read(nc, streams.ANALYSES.name, wanted.subject, cursor + 1):
        yield message.sequence, message.data if wanted.takes(message) else None


async def newest(nc: Client) -> int:
    return await stored.newest(nc, streams.ANALYSES.name)
