"""A chat's error in the words of who asked for a response: the fields have other names there."""

from __future__ import annotations

import re

from msgspec.structs import replace

from schemas.codec import decode
from schemas.errors import BadRequest, ErrorBody, ErrorDetail, LlmError
from schemas.responses.response import ResponseFailure

_NAMES = {
    "messages": "input",
    "response_format": "text.format",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "include",
}
# Messages are counted from the conversation's beginning: an index into them is none into `input`.
_FIELD = re.compile(rf"({'|'.join(_NAMES)})(?:\[[^`]*)?")
_QUOTED = re.compile(rf"`{_FIELD.pattern}`")


def told(body: bytes) -> ErrorDetail:
    """The error in a worker's reply."""
    try:
        found = decode(ErrorBody, body).error
    except BadRequest:
        return ErrorDetail("The worker failed.", LlmError.type, None, None)
    field = _FIELD.fullmatch(found.param) if found.param else None
    message = _QUOTED.sub(lambda quoted: f"`{_NAMES[quoted[1]]}`", found.message)
    return replace(found, message=message, param=_NAMES[field[1]] if field else found.param)


def failure(status: int, error: ErrorDetail) -> ResponseFailure:
    """Where the HTTP status is sent already."""
    if status == 429:
        return ResponseFailure("rate_limit_exceeded", error.message)
    return ResponseFailure("invalid_prompt" if status < 500 else "server_error", error.message)
