"""A page of something, with what it takes to ask for the next one."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """Ask again with `cursor`: for the next page while there is more, later for what has come meanwhile.

    With filters a page may be short, or empty, though there is more.
    """

    data: list[T]
    cursor: int
    has_more: bool
    object: str = "list"
