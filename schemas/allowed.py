"""What a field takes, where that is one of a few words: a refusal that names them says what to write instead."""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Iterator

from msgspec import inspect

# A name, or `[0]`, or `[...]` for any key.
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


class _Tag(inspect.LiteralType):
    """What tells a Struct from the others of its union."""


_type_info = functools.cache(inspect.type_info)


def words(kind: Hashable, path: str) -> tuple[str, ...]:
    """Those of the field of `kind` at `path`, such as `messages[0].role`, beside which it may take objects.

    Where several kinds of object have such a field, what the one that was meant takes is not known: those of all.
    """
    found = [_type_info(kind)]
    for step in _STEP.findall(path):
        found = [inner for one in found for inner in _inside(one, step)]
    each = [dict.fromkeys(_words(one)) for one in found]
    return tuple(word for word in each[0] if all(word in others for others in each)) if each else ()


def _inside(one: inspect.Type, step: str) -> Iterator[inspect.Type]:
    match one:
        case inspect.UnionType():
            inside = [inner for member in one.types for inner in _inside(member, step)]
            tags = tuple(inner for inner in inside if isinstance(inner, _Tag))
            yield from (inner for inner in inside if not isinstance(inner, _Tag))
            if tags:  # of one union: it may be any of them
                yield inspect.LiteralType(tuple(value for tag in tags for value in tag.values))
        case inspect.StructType():
            if step == one.tag_field:
                yield _Tag((one.tag,))
            yield from (field.type for field in one.fields if field.encode_name == step)
        case inspect.ListType() if step.startswith("["):
            yield one.item_type
        case inspect.Metadata():
            yield from _inside(one.type, step)


def _words(one: inspect.Type) -> Iterator[str]:
    match one:
        case inspect.UnionType():
            for member in one.types:
                yield from _words(member)
        case inspect.LiteralType():
            yield from (value for value in one.values if isinstance(value, str))
        case inspect.Metadata():
            yield from _words(one.type)
