"""One page out of what a stream holds: bounded in what it gives and in what it reads, however rare the matches are."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from typing import Generic, NamedTuple, TypeVar

from bridge.client.stored import Stored

T = TypeVar("T")

# Messages that one page looks at: after them it ends, short or empty, and the next one goes on.
_MOST_READ = 10_000


class Page(NamedTuple, Generic[T]):
    """`cursor` is the sequence up to which all was looked at; what comes later is above it."""

    found: list[T]
    cursor: int
    more: bool


async def fill(
    messages: AsyncIterator[Stored],
    keep: Callable[[Stored], T | None],
    cursor: int,
    limit: int,
    until: dt.datetime | None = None,
) -> Page[T]:
    """`keep` makes an item of a message, or None of one that is not wanted."""
    found: list[T] = []
    read = 0
    async for message in messages:
        if until is not None and message.at > until:
            return Page(found, cursor, False)
        item = keep(message)
        if read == _MOST_READ or (item is not None and len(found) == limit):
            return Page(found, cursor, True)
        if item is not None:
            found.append(item)
        cursor = message.sequence
        read += 1
    return Page(found, cursor, False)
