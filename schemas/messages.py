"""The messages of a conversation, as OpenAI's API writes them: text only, and what was called in between."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.errors import BadRequest
from schemas.tools import ToolCall


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text", tag_field="type"):
    """One part of a message's content. Images and audio are not text: they are refused by their type."""

    text: str


Content = str | list[TextPart]


class SystemMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="system"):
    content: Content
    name: str | None = None


class DeveloperMessage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="developer"
):
    """The newer name of a system message."""

    content: Content
    name: str | None = None


class UserMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="user"):
    content: Content
    name: str | None = None


class AssistantMessage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="assistant"
):
    """An earlier answer. It may be sent back as it came, with what was thought and called."""

    content: Content | None = None
    name: str | None = None
    refusal: None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: list[None] | None = None  # the SDKs send the empty list of their own message back
    audio: None = None
    function_call: None = None


class ToolMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="tool"):
    """What a called function returned."""

    content: Content
    tool_call_id: str


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


def text(content: Content | None) -> str:
    """All that a message says, in one piece."""
    if content is None:
        return ""
    return content if isinstance(content, str) else "".join(part.text for part in content)


def check(messages: Sequence[Message]) -> None:
    """What single messages cannot tell. Raises BadRequest naming the message."""
    called: set[str] = set()
    for at, message in enumerate(messages):
        match message:
            case AssistantMessage(content=None, tool_calls=None | []):
                raise BadRequest(
                    "An assistant message needs `content` or `tool_calls`.",
                    param=f"messages[{at}].content",
                    code="invalid_value",
                )
            case AssistantMessage(tool_calls=list(calls)):
                called |= {call.id for call in calls}
            case ToolMessage(tool_call_id=answered) if answered not in called:
                raise BadRequest(
                    f"No earlier assistant message has a tool call with the id `{answered}`.",
                    param=f"messages[{at}].tool_call_id",
                    code="invalid_value",
                )
