"""The messages of a conversation, as OpenAI's API writes them: text only, and what was called in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from schemas.errors import BadRequest
from schemas.tools import ToolCall


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text", tag_field="type"):
    """One part of a message's content. Images and audio are not text: they are refused by their type."""

    text: str


class RefusalPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refusal", tag_field="type"):
    """What another model said instead."""

    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


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

    content: str | list[TextPart | RefusalPart] | None = None
    name: str | None = None
    refusal: str | None = None  # what another model said instead
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: list[None] | None = None  # the SDKs send the empty list of their own message back
    audio: None = None
    function_call: None = None


class ToolMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="tool"):
    """What a called function returned. Without a `name` it has that of the call."""

    content: Content
    tool_call_id: str
    name: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


def text(content: str | Sequence[TextPart | RefusalPart] | None) -> str:
    """All that a message says, in one piece."""
    if content is None:
        return ""
    return content if isinstance(content, str) else "".join(part.text for part in content)


def check(messages: Sequence[Message]) -> None:
    """What single messages cannot tell. Raises BadRequest naming the message.

    Calls are answered right after they are made, each once, so that an id may come again in a later turn.
    """
    caller, open_calls = 0, dict[str, None]()
    for at, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            _take(open_calls, message.tool_call_id, at)
            continue
        _all_answered(open_calls, caller)
        if isinstance(message, AssistantMessage):
            caller, open_calls = at, _calls(message, at)
    _all_answered(open_calls, caller)


def _calls(message: AssistantMessage, at: int) -> dict[str, None]:
    """The ids of its calls, in their order."""
    ids = [call.id for call in message.tool_calls or []]
    if message.content is None and message.refusal is None and not ids:
        raise _bad(
            f"messages[{at}].content", "An assistant message needs `content`, `refusal` or `tool_calls`."
        )
    if len(set(ids)) < len(ids):
        raise _bad(f"messages[{at}].tool_calls", "Two of these tool calls have the same id.")
    return dict.fromkeys(ids)


def _take(open_calls: dict[str, None], answered: str, at: int) -> None:
    if answered not in open_calls:
        raise _bad(
            f"messages[{at}].tool_call_id",
            f"The assistant message before has no tool call with the id `{answered}` that is still unanswered.",
        )
    del open_calls[answered]


def _all_answered(open_calls: Iterable[str], caller: int) -> None:
    for unanswered in open_calls:
        raise _bad(
            f"messages[{caller}].tool_calls",
            f"The tool call `{unanswered}` has no answer: a `tool` message must follow for each call.",
        )


def _bad(param: str, reason: str) -> BadRequest:
    return BadRequest(reason, param=param, code="invalid_value")
