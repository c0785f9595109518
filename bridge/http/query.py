"""What stands behind the `?` and in a path, as Structs: what nobody asked for is refused by its name."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from schemas import subjects
from schemas.codec import convert
from schemas.errors import BadRequest, NotFound

T = TypeVar("T")

# As subjects.is_token() has it, which is asked as well.
Recipe = Annotated[str, Meta(pattern=r"^[^\s.*>]{1,64}$", description="The name of a recipe.")]
Cursor = Annotated[
    int, Meta(ge=0, le=2**53, description="That of the page before: what comes after it. 0 is the beginning.")
]
Limit = Annotated[int, Meta(ge=1, le=100, description="Items of a page.")]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class Named(NamedTuple):
    """What `/{recipe}/{id}` means; `token` is the id as subjects have it."""

    recipe: str
    id: str
    token: str


def read(request: web.Request, kind: type[T]) -> T:
    """Raises BadRequest naming the parameter."""
    values = dict(request.query)
    for name in values:
        if len(request.query.getall(name)) > 1:
            raise BadRequest(f"`{name}` is given more than once.", param=name, code="invalid_value")
    found = convert(kind, values, strict=False)
    for name, value in values.items():
        # Numbers are written as text here; a time is none, though it may be converted from one.
        if isinstance(getattr(found, name, None), dt.datetime) and ":" not in value:
            raise BadRequest(f"`{name}` is not a time as RFC 3339 has it.", param=name, code="invalid_value")
    recipe = getattr(found, "recipe", None)
    if recipe is not None and not subjects.is_token(recipe):
        raise BadRequest(f"`{recipe}` cannot be a recipe's name.", param="recipe", code="invalid_value")
    return found


def named(request: web.Request) -> Named:
    """Raises NotFound where no recipe can have that name."""
    read(request, Nothing)
    recipe, key = _text(request.match_info["recipe"]), _text(request.match_info["id"])
    if not subjects.is_token(recipe):
        raise NotFound(f"`{recipe}` cannot be a recipe's name.", param="recipe", code="not_found")
    return Named(recipe, key, subjects.id_token(key))


def _text(part: str) -> str:
    """Bytes that are no UTF-8 come as surrogates, which nothing can write."""
    return part.encode("utf-8", "replace").decode()
