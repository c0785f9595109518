"""A page as OpenAI's lists have it: what comes after an item that one has already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from schemas.errors import BadRequest

T = TypeVar("T")

After = Annotated[str, Meta(min_length=1, description="The `id` of the last item of the page before.")]


class Cursored(msgspec.Struct, Generic[T], frozen=True):
    """Ask again with `after`, the `last_id`, while there is more."""

    data: list[T]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None
    object: str = "list"


def page(found: Sequence[T], name: Callable[[T], str], after: str | None, limit: int) -> Cursored[T]:
    """Raises BadRequest where there is no such item."""
    start = 0
    if after is not None:
        ids = [name(one) for one in found]
        if after not in ids:
            raise BadRequest(f"There is no `{after}` to go on after.", param="after", code="invalid_value")
        start = ids.index(after) + 1
    data = list(found[start : start + limit])
    ends = (name(data[0]), name(data[-1])) if data else (None, None)
    return Cursored(data, start + limit < len(found), *ends)
