"""One tree of errors, each of which knows how it looks on the wire (OpenAI's error object and an HTTP status).

LlmError
├── BadRequest 400 ── ContextLengthExceeded
├── Unauthorized 401
├── Forbidden 403
├── NotFound 404
├── TooSlow 408
├── Conflict 409
├── TooLarge 413
├── UnsupportedMedia 415
├── Unprocessable 422
├── Overloaded 429
├── Cancelled 499
├── EngineFailed 500
├── BadSettings, which ends a start and is on no wire
├── Unavailable 503
└── DeadlineExceeded 504
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class ErrorDetail(msgspec.Struct, frozen=True):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct, frozen=True):
    """The payload of every reply that is an error."""

    error: ErrorDetail


# A message also travels in a header, and a payload with headers over the server's 1 MB ends the connection for
# good: what a message quotes of its request is cut here, once for all.
_LONGEST = 1000


def short(text: str, most: int = _LONGEST) -> str:
    """At most so many characters of it."""
    return text if len(text) <= most else text[: most - 1] + "…"


class LlmError(Exception):
    """Root of the tree. The message is a sentence for the caller, never a repr."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """`retry_after` is in seconds: before that, the same request would fail again."""
        super().__init__(message)
        self.message = short(message)
        self.param = short(param) if param else param
        self.code = code or self.default_code
        self.retry_after = retry_after

    def body(self) -> ErrorBody:
        return ErrorBody(ErrorDetail(self.message, self.type, self.param, self.code))


class BadRequest(LlmError):
    """The request can never succeed as it is."""

    status = 400
    type = "invalid_request_error"


class ContextLengthExceeded(BadRequest):
    """Prompt and answer together do not fit the model's context."""

    default_code = "context_length_exceeded"


class Unauthorized(LlmError):
    """Nobody whom we know asks."""

    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"


class Forbidden(LlmError):
    """Somebody asks for what is not theirs."""

    status = 403
    type = "invalid_request_error"
    default_code = "forbidden"


class NotFound(LlmError):
    """A model, recipe or object that nobody here has."""

    status = 404
    type = "invalid_request_error"


class TooSlow(LlmError):
    """The request did not arrive in time."""

    status = 408
    type = "invalid_request_error"
    default_code = "request_timeout"


class Conflict(LlmError):
    """It cannot be done as things are now."""

    status = 409
    type = "invalid_request_error"
    default_code = "conflict"


class TooLarge(LlmError):
    """The payload is over a limit in bytes."""

    status = 413
    type = "invalid_request_error"
    default_code = "payload_too_large"


class UnsupportedMedia(LlmError):
    """The payload is not of a kind that is read here."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_media_type"


class Unprocessable(LlmError):
    """Well-formed, and yet nothing that could be worked on."""

    status = 422
    type = "invalid_request_error"
    default_code = "unprocessable"


class Overloaded(LlmError):
    """More waits already than the worker takes on; try again later."""

    status = 429
    type = "rate_limit_error"
    default_code = "overloaded"


class Cancelled(LlmError):
    """The caller gave up (nginx's 499: client closed request)."""

    status = 499
    type = "request_cancelled"
    default_code = "cancelled"


class EngineFailed(LlmError):
    """The model's own code failed; the same request may work later."""

    default_code = "engine_error"


class BadSettings(LlmError):
    """A setting that is unknown or has a bad value. The process ends with code 2."""

    default_code = "bad_settings"


class Unavailable(LlmError):
    """Nobody is there to do it now."""

    status = 503
    default_code = "unavailable"


class DeadlineExceeded(LlmError):
    """The caller's deadline passed before the answer was complete."""

    status = 504
    type = "timeout_error"
    default_code = "deadline_exceeded"
