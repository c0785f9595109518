"""OpenAI's batches: what one sends, what a batch says of itself, and the lines of its files.

Source: OpenAI's API reference, `/v1/batches`, and the types of its SDK.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from schemas.completion import Usage
from schemas.files import ExpiresAfter
from schemas.responses.response import InputTokensDetails, OutputTokensDetails, ResponseUsage

T = TypeVar("T")

MAX_LINES = 50_000
WINDOW = 24 * 3600  # seconds; the only one that OpenAI has

Status = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
OVER: tuple[Status, ...] = ("failed", "completed", "expired", "cancelled")
_Key = Annotated[str, Meta(max_length=64)]
_Value = Annotated[str, Meta(max_length=512)]


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /v1/batches`."""

    input_file_id: str
    endpoint: Literal["/v1/chat/completions", "/v1/completions", "/v1/responses"]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[_Key, _Value], Meta(max_length=16)] | None = None
    output_expires_after: ExpiresAfter | None = None


class BatchError(msgspec.Struct, frozen=True):
    """Why an input file is refused; `line` counts from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class BatchErrors(msgspec.Struct, frozen=True):
    data: list[BatchError]
    object: Literal["list"] = "list"


class RequestCounts(msgspec.Struct, frozen=True):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. Times are Unix seconds."""

    id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    status: Status
    created_at: int
    expires_at: int
    errors: BatchErrors | None = None
    model: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts = RequestCounts()
    usage: ResponseUsage | None = None
    metadata: dict[str, str] | None = None
    object: Literal["batch"] = "batch"

    @property
    def over(self) -> bool:
        return self.status in OVER


class Content(msgspec.Struct, frozen=True):
    """The bytes of a file, whatever becomes of its name: `nuid` is what their messages are stored under."""

    nuid: str
    chunks: int
    size: int
    digest: str


class KeptBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the bucket `llm_batches`, and a message of `BATCHES` while nobody has put it there.

    `input` are the bytes of its file, which may expire meanwhile; `sent` lines were put onto the queue, `refused`
    ones never will be.
    """

    batch: Batch
    input: Content
    output_seconds: int
    sent: int = 0
    refused: int = 0


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of an input file."""

    custom_id: Annotated[str, Meta(min_length=1, max_length=512)]
    method: str
    url: str
    body: msgspec.Raw


class LineResponse(msgspec.Struct, Generic[T], frozen=True):
    """How a line's request ended: a message of `BATCH_RESULTS`, and `response` of an output line."""

    status_code: int
    request_id: str
    body: T


class LineFault(msgspec.Struct, frozen=True):
    """Why there is no response."""

    code: Literal["batch_expired", "batch_cancelled"]
    message: str


class OutputLine(msgspec.Struct, frozen=True):
    """A line of an output or an error file."""

    id: str
    custom_id: str
    response: LineResponse[msgspec.Raw] | None
    error: LineFault | None


def add_usage(total: ResponseUsage | None, more: Usage) -> ResponseUsage:
    """A batch's usage has the names that a response's has."""
    before = total or ResponseUsage(0, 0, 0)
    cached = before.input_tokens_details.cached_tokens + more.prompt_tokens_details.cached_tokens
    thought = before.output_tokens_details.reasoning_tokens + more.completion_tokens_details.reasoning_tokens
    return ResponseUsage(
        before.input_tokens + more.prompt_tokens,
        before.output_tokens + more.completion_tokens,
        before.total_tokens + more.total_tokens,
        InputTokensDetails(cached),
        OutputTokensDetails(thought),
    )
