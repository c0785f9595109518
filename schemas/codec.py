"""Strict JSON in and out: decoders are built once, and a refusal names the field that is at fault."""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from schemas.allowed import words
from schemas.errors import BadRequest, LlmError

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)


def encode(value: object) -> bytes:
    """JSON bytes of a Struct or of plain data."""
    return _encoder.encode(value)


@functools.cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast(Any, kind))


def decode(kind: type[T], payload: bytes, refused: Mapping[str, str] | None = None) -> T:
    """Decode `payload` as `kind`.

    `refused` maps names of known but unsupported top-level fields to the sentence that refuses them.
    Raises BadRequest with `param` set to the field's path, such as `messages[0].content`.
    """
    try:
        value: T = _decoder(cast(Hashable, kind)).decode(payload)
    except msgspec.ValidationError as error:
        raise _refusal(kind, str(error), refused or {}) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The payload is not valid JSON in UTF-8.", code="invalid_json") from None
    except RecursionError:
        raise BadRequest("The payload is nested too deeply.", code="invalid_json") from None
    return value


def convert(
    kind: type[T], value: object, refused: Mapping[str, str] | None = None, *, strict: bool = True
) -> T:
    """As decode(), of what is decoded already; not `strict` where numbers come as text, as in a query."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _refusal(kind, str(error), refused or {}) from None


def _refusal(kind: type[object], text: str, refused: Mapping[str, str]) -> LlmError:
    match = _AT.match(text)
    assert match is not None  # the pattern's parts are all optional
    what, path = match["what"], _param(match["path"])
    if unknown := _UNKNOWN.match(what):
        name = _join(path, unknown["name"])
        if name in refused:
            return BadRequest(refused[name], param=name, code="unsupported_parameter")
        return BadRequest(f"Unknown field `{name}`.", param=name, code="unknown_parameter")
    if missing := _MISSING.match(what):
        name = _join(path, missing["name"])
        return BadRequest(f"Missing field `{name}`.", param=name, code="missing_required_parameter")
    where = f" for `{path}`" if path else ""
    return BadRequest(
        f"Invalid value{where}: {what}.{_instead(kind, what, path)}", param=path, code="invalid_value"
    )


def _instead(kind: type[object], what: str, path: str | None) -> str:
    """A sentence for whoever named something that is not among a few."""
    if path is None or not what.startswith(("Invalid value", "Invalid enum value")):
        return ""
    *others, last = [f"`{word}`" for word in words(cast(Hashable, kind), path)] or [""]
    return f" It takes {', '.join(others) + ' or ' if others else ''}{last}." if last else ""


def _param(path: str | None) -> str | None:
    """`$.messages[0].role` as OpenAI writes it: `messages[0].role`."""
    return path.removeprefix("$").removeprefix(".") or None if path else None


def _join(path: str | None, name: str) -> str:
    return f"{path}.{name}" if path else name
