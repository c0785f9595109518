"""OpenAI's file object.

Source: OpenAI's API reference, `/v1/files`, and the types of its SDK.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Purpose = Literal["batch", "batch_output"]
# Seconds. What OpenAI keeps files of batches for, unless one says otherwise, is also the most.
LONGEST_LIFE = 30 * 24 * 3600
Life = Annotated[int, Meta(ge=3600, le=LONGEST_LIFE)]


class ExpiresAfter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a file goes: so many seconds after it was made."""

    anchor: Literal["created_at"]
    seconds: Life


class FileObject(msgspec.Struct, frozen=True, kw_only=True):
    """A file as its owner sees it. `expires_at` is always there: nothing is kept for good."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    expires_at: int | None = None
    object: Literal["file"] = "file"
    status: Literal["processed"] = "processed"  # deprecated, and always this one; SDKs expect it


class DeletedFile(msgspec.Struct, frozen=True):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True
