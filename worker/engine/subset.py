"""Which JSON Schemas are let near the compiler: what it would crash on, or read otherwise than JSON Schema does,
is refused by name before.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import unquote

from schemas.errors import BadRequest

# The compiler follows nesting and references on its stack, which was seen to overflow from about 2000 on.
_DEEPEST = 800
_LARGEST = 64 * 1024
# Numbers are read as binary floats: beyond this, not every integer is one.
_EXACT = 2**53
# The compiler has a state for each remainder of what is no power of ten: 1,000,003 of them cost 5 s and 550 MB.
_MOST_REMAINDERS = 5000
# Keywords that hold nothing for a value.
_WORDS = ("$defs", "definitions", "title", "description", "default", "examples", "$schema", "$id", "$comment")
_NUMBERS = ("const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
# What stands behind a keyword where it is no schema: schemas by name, or a value. Definitions wait to be referred to.
_Kind = Literal["schema", "names", "value"]
_KINDS: dict[str, _Kind] = {
    "properties": "names",
    "patternProperties": "names",
    **dict.fromkeys(("const", "enum", "default", "examples"), "value"),
}
_DEFINITIONS = ("$defs", "definitions")
_WRITTEN = ("const", "enum", "required", "pattern")
# ECMA 262, which JSON Schema's patterns follow, knows none of these, or means something else by them.
_FOREIGN = re.compile(r"\[\[:|\(\?[a-zA-Z-]+[:)]|\(\?P|\\[AzZQE]|&&|--|~~")


def unsupported(reason: str, param: str = "response_format") -> BadRequest:
    # Where its machine gives up, llguidance tells all of its state as well.
    told = " ".join(reason.partition("<state>")[0].split())
    return BadRequest(
        f"The JSON Schema cannot be enforced: {told[:300]}", param=param, code="unsupported_schema"
    )


def check(
    schema: dict[str, Any], param: str = "response_format", control: re.Pattern[str] | None = None
) -> None:
    """Raises BadRequest, naming the keyword, for a schema that must not be compiled.

    `control` matches the texts of control tokens: inside a grammar they would stand for the tokens.
    """
    try:
        text = json.dumps(schema, ensure_ascii=False)
    except RecursionError:
        raise unsupported("it is nested too deeply.", param) from None
    if len(text) > _LARGEST:
        raise unsupported(f"it is longer than {_LARGEST // 1024} KB.", param)
    parts = _parts(schema, param)
    for part in parts:
        _check_part(part, param)
        written = [part.get(keyword) for keyword in _WRITTEN], _names(part, "properties")
        if control is not None and (found := control.search(json.dumps(written, ensure_ascii=False))):
            raise unsupported(f"it holds `{found[0]}`, the text of a control token of this model.", param)
    if _remainders(parts) > _MOST_REMAINDERS:
        reason = f"`multipleOf` has more than {_MOST_REMAINDERS:,} remainders, zeros at its end aside"
        raise unsupported(f"{reason}.", param)


def _parts(root: dict[str, Any], param: str) -> list[dict[str, Any]]:
    """Every object in the schema that the compiler comes to.

    No way through the schema is longer than the depths of all that is referred to together, and the compiler
    goes every way on its stack.
    """
    found: list[dict[str, Any]] = []
    waiting, begun, total = [root], {id(root)}, 0
    while waiting:
        depth, parts = _walk(waiting.pop())
        total += depth
        if total > _DEEPEST:
            raise unsupported("it is nested too deeply, its `$ref`s counted.", param)
        found += parts
        for ref in (part["$ref"] for part in parts if isinstance(part.get("$ref"), str)):
            target = _target(root, ref, param)
            if isinstance(target, dict) and id(target) not in begun:
                begun.add(id(target))
                waiting.append(target)
    if any(isinstance(part.get(name), str) for part in found if part is not root for name in ("$id", "id")):
        raise unsupported("a schema in it has an `$id` of its own; refer to it from the root.", param)
    return found


def _walk(top: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """How deep a schema is without its references, and the schemas in it."""
    parts: list[dict[str, Any]] = []
    deepest, waiting = 0, list[tuple[Any, _Kind, int]]([(top, "schema", 1)])
    while waiting:
        value, kind, depth = waiting.pop()
        deepest = max(deepest, depth)
        if kind == "schema" and isinstance(value, dict):
            parts.append(value)
        waiting += [
            (item, its, depth + 1) for item, its in _inner(value, kind) if isinstance(item, dict | list)
        ]
    return deepest, parts


def _inner(value: Any, kind: _Kind) -> Iterator[tuple[Any, _Kind]]:
    if isinstance(value, list):
        yield from ((item, kind) for item in value)
    elif kind == "schema":
        yield from ((item, _KINDS.get(key, kind)) for key, item in value.items() if key not in _DEFINITIONS)
    else:
        yield from ((item, "schema" if kind == "names" else kind) for item in value.values())


def _target(root: Any, ref: str, param: str) -> Any:
    """What a reference within the schema points to (RFC 6901, section 6).

    The compiler knows other ways to refer, all that are not looked through here have to be refused.
    """
    value, pointer = root, unquote(ref)
    known = pointer == "#" or pointer.startswith("#/")
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and len(name) < 6 and int(name) < len(value):
            value = value[int(name)]
        else:
            known = False
    if not known:
        raise unsupported(f"`$ref` to `{ref}`: only `#` and JSON Pointers within it (`#/$defs/...`).", param)
    return value


def _check_part(part: dict[str, Any], param: str) -> None:
    for keyword in _NUMBERS:
        if keyword in part and _inexact(part[keyword]):
            raise unsupported(f"`{keyword}` has an integer beyond 2^53; write it as a string.", param)
    patterns = [part.get("pattern"), *_names(part, "patternProperties")]
    for pattern in patterns:
        if isinstance(pattern, str) and (found := _FOREIGN.search(pattern)):
            raise unsupported(
                f"`pattern` has `{found[0]}`, which JSON Schema's dialect does not know.", param
            )
    least, required = part.get("minProperties"), part.get("required")
    if isinstance(least, int) and least > (len(required) if isinstance(required, list) else 0):
        raise unsupported("`minProperties` is more than what is `required`.", param)


def _names(part: dict[str, Any], keyword: str) -> list[str]:
    """The compiler is who refuses a keyword's value that is no object."""
    found = part.get(keyword)
    return list(found) if isinstance(found, dict) else []


def _remainders(parts: Sequence[dict[str, Any]]) -> int:
    """How many the compiler has to tell apart, zeros at the end of the digits aside; counted until they are too many.

    Where schemas are laid upon each other it keeps all combinations, else each field has its own.
    """
    laid = any(_laid_upon(part) for part in parts)
    found = 1
    for step in (part.get("multipleOf") for part in parts):
        if isinstance(step, int | float) and step is not True and math.isfinite(step) and step:
            digits = int("".join(map(str, Decimal(str(step)).as_tuple().digits)).rstrip("0"))
            found = math.lcm(found, digits) if laid else max(found, digits)
            if found > _MOST_REMAINDERS:
                break
    return found


def _laid_upon(part: dict[str, Any]) -> bool:
    """Whether two schemas hold for one value here."""
    others = part.keys() - {"anyOf", "oneOf", "$ref", *_WORDS}
    return "allOf" in part or bool(others and part.keys() & {"anyOf", "oneOf", "$ref"})


def _inexact(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_inexact, value))
    if isinstance(value, dict):
        return any(map(_inexact, value.values()))
    return isinstance(value, int | float) and abs(value) > _EXACT and value % 1 == 0
