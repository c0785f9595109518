"""What is nested too deeply is refused before anything recurses over it."""

from __future__ import annotations

import re

from schemas.errors import BadRequest

# Decoders and templates recurse. What people send is ten levels deep, a schema of tools perhaps twenty.
_MAX_DEPTH = 128
_STRINGS_AND_BRACKETS = re.compile(rb'"((?:[^"\\]|\\.)*+)"|[][{}]', re.DOTALL)


def check(body: bytes) -> None:
    """Raises BadRequest naming the field that is nested too deeply."""
    if body.count(b"{") + body.count(b"[") <= _MAX_DEPTH:
        return  # nearly all requests: so few brackets cannot nest deeper
    depth, field = 0, b""
    for token in _STRINGS_AND_BRACKETS.finditer(body):
        match token[0]:
            case b"{" | b"[":
                depth += 1
                if depth > _MAX_DEPTH:
                    raise _too_deep(field)
            case b"}" | b"]":
                depth -= 1
            case _ if depth == 1:
                field = token[1]


def _too_deep(field: bytes) -> BadRequest:
    name = field.decode("utf-8", "replace")
    where = f"`{name}`" if name else "The payload"
    return BadRequest(
        f"{where} is nested more than {_MAX_DEPTH} levels deep.", param=name or None, code="invalid_value"
    )
