"""What a field takes, where that is one of a few words: a refusal that names them says what to write instead."""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Iterator

from msgspec import inspect

# A name, or `[0]`, or `[...]` for any key.
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


_type_info = functools.cache(inspect.type_info)


def words(kind: Hashable, path: str) -> tuple[str, ...]:
    """Those of the field of `kind` at `path`, such as `messages[0].role`; none where it takes others, too."""
    found = [_type_info(kind)]
    for step in _STEP.findall(path):
        found = [inner for one in found for inner in _inside(one, step)]
    return tuple(dict.fromkeys(word for one in found for word in _words(one)))


def _inside(one: inspect.Type, step: str) -> Iterator[inspect.Type]:
    match one:
        case inspect.UnionType():
            for member in one.types:
                yield from _inside(member, step)
        case inspect.StructType():
            if step == one.tag_field:
                yield inspect.LiteralType((one.tag,))
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
