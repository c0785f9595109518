"""The items of a conversation, as OpenAI's Responses API writes them: what came in, and what was answered."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas.completion import TokenLogprob

Status = Literal["in_progress", "completed", "incomplete"]


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="input_text", tag_field="type"):
    """Images and files are not text: they are refused by their type."""

    text: str


class OutputText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="output_text", tag_field="type"
):
    """`annotations` are always empty here; those that come in change nothing."""

    text: str
    annotations: list[dict[str, Any]] = []
    logprobs: list[TokenLogprob] = []


class SummaryText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="summary_text", tag_field="type"
):
    text: str


class ReasoningText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="reasoning_text", tag_field="type"
):
    text: str


class InputMessage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="message", tag_field="type"
):
    """Somebody's words; alone among the items it may leave out its type. An answer may come back as it was given."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | OutputText]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class OutputMessage(msgspec.Struct, frozen=True, kw_only=True, tag="message", tag_field="type"):
    """What the model says."""

    id: str
    status: Status
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class CallItem(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag="function_call",
    tag_field="type",
):
    """A call that the model makes; `arguments` is JSON as text."""

    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: Status | None = None


class CallOutput(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag="function_call_output",
    tag_field="type",
):
    """What a called function returned."""

    call_id: str
    output: str | list[InputText]
    id: str | None = None
    status: Status | None = None


class ReasoningItem(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="reasoning", tag_field="type"
):
    """What the model thought, whole: nothing here is summed up or encrypted."""

    id: str | None = None
    summary: list[SummaryText] = []
    content: list[ReasoningText] | None = None
    encrypted_content: None = None
    status: Status | None = None


InputItem = InputMessage | CallItem | CallOutput | ReasoningItem
OutputItem = OutputMessage | CallItem | ReasoningItem


def said_before(item: OutputItem) -> InputItem:
    """An item of an answer, as it comes in with the next question."""
    if not isinstance(item, OutputMessage):
        return item
    return InputMessage(role=item.role, content=[*item.content], id=item.id, status=item.status)


def text(content: str | list[InputText | OutputText] | list[InputText] | list[OutputText]) -> str:
    """All that it says, in one piece."""
    return content if isinstance(content, str) else "".join(part.text for part in content)
