"""The events of a streamed response, in OpenAI's names; `sequence_number` counts them from 0."""

from __future__ import annotations

import msgspec

from schemas.completion import TokenLogprob
from schemas.responses.items import OutputItem, OutputText, ReasoningText
from schemas.responses.response import Response


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    sequence_number: int


class _OfResponse(_Event, frozen=True, kw_only=True):
    response: Response


class Created(_OfResponse, frozen=True, kw_only=True, tag="response.created"):
    pass


class InProgress(_OfResponse, frozen=True, kw_only=True, tag="response.in_progress"):
    pass


class Completed(_OfResponse, frozen=True, kw_only=True, tag="response.completed"):
    pass


class Incomplete(_OfResponse, frozen=True, kw_only=True, tag="response.incomplete"):
    pass


class Failed(_OfResponse, frozen=True, kw_only=True, tag="response.failed"):
    pass


class Error(_Event, frozen=True, kw_only=True, tag="error"):
    message: str
    code: str | None = None
    param: str | None = None


class _OfItem(_Event, frozen=True, kw_only=True):
    output_index: int
    item: OutputItem


class ItemAdded(_OfItem, frozen=True, kw_only=True, tag="response.output_item.added"):
    pass


class ItemDone(_OfItem, frozen=True, kw_only=True, tag="response.output_item.done"):
    pass


class _InItem(_Event, frozen=True, kw_only=True):
    item_id: str
    output_index: int


class _OfPart(_InItem, frozen=True, kw_only=True):
    part: OutputText | ReasoningText
    content_index: int = 0


class PartAdded(_OfPart, frozen=True, kw_only=True, tag="response.content_part.added"):
    pass


class PartDone(_OfPart, frozen=True, kw_only=True, tag="response.content_part.done"):
    pass


class TextDelta(_InItem, frozen=True, kw_only=True, tag="response.output_text.delta"):
    delta: str
    logprobs: list[TokenLogprob] = []
    content_index: int = 0


class TextDone(_InItem, frozen=True, kw_only=True, tag="response.output_text.done"):
    text: str
    logprobs: list[TokenLogprob] = []
    content_index: int = 0


class ThoughtDelta(_InItem, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    delta: str
    content_index: int = 0


class ThoughtDone(_InItem, frozen=True, kw_only=True, tag="response.reasoning_text.done"):
    text: str
    content_index: int = 0


class ArgumentsDelta(_InItem, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"):
    delta: str


class ArgumentsDone(_InItem, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    arguments: str
    name: str


Event = (
    Created
    | InProgress
    | ItemAdded
    | PartAdded
    | TextDelta
    | TextDone
    | ThoughtDelta
    | ThoughtDone
    | ArgumentsDelta
    | ArgumentsDone
    | PartDone
    | ItemDone
    | Completed
    | Incomplete
    | Failed
    | Error
)


def name(event: Event) -> str:
    """Its `type`."""
    return str(event.__struct_config__.tag)
