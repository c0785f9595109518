"""Items as the messages of a chat: what was thought, said and called in one turn is one message there."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.errors import BadRequest
from schemas.messages import (
    AssistantMessage,
    DeveloperMessage,
    Message,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from schemas.responses import items
from schemas.responses.items import (
    CallItem,
    CallOutput,
    InputItem,
    InputMessage,
    InputText,
    OutputText,
    ReasoningItem,
)
from schemas.tools import FunctionCall, ToolCall

_KINDS: dict[str, type[UserMessage | SystemMessage | DeveloperMessage]] = {
    "user": UserMessage,
    "system": SystemMessage,
    "developer": DeveloperMessage,
}


def messages(found: Iterable[InputItem]) -> list[Message]:
    """Raises BadRequest where calls and their outputs do not belong together."""
    draft = _Draft()
    for item in found:
        draft.add(item)
    return draft.end()


class _Draft:
    """The messages so far, the turn that is being put together, and the calls that wait for their output."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._thought: list[str] = []
        self._said: list[str] = []
        self._calls: dict[str, ToolCall] = {}
        self._unanswered: dict[str, None] = {}

    def add(self, item: InputItem) -> None:
        match item:
            case InputMessage(role="assistant", content=content):
                self._next_turn()
                self._said.append(items.text(content))
            case InputMessage(role=role, content=content):
                self._close()
                self._settled()
                self._messages.append(_KINDS[role](_content(content)))
            case ReasoningItem():
                self._next_turn()
                self._thought += [part.text for part in item.content or item.summary]
            case CallItem():
                self._call(item)
            case CallOutput():
                self._output(item)

    def end(self) -> list[Message]:
        self._close()
        self._settled()
        return self._messages

    def _next_turn(self) -> None:
        """Words after words are another turn's; words between calls are of the turn that calls."""
        if self._said and not self._calls:
            self._close()

    def _call(self, item: CallItem) -> None:
        if item.call_id in self._calls:
            raise _bad(f"Two function calls beside each other have the call_id `{item.call_id}`.")
        self._calls[item.call_id] = ToolCall(item.call_id, FunctionCall(item.name, item.arguments))

    def _output(self, item: CallOutput) -> None:
        self._close()
        if item.call_id not in self._unanswered:
            raise _bad(
                f"No function call right before has the call_id `{item.call_id}` and still waits for its output."
            )
        del self._unanswered[item.call_id]
        self._messages.append(ToolMessage(items.text(item.output), item.call_id))

    def _close(self) -> None:
        if not (self._thought or self._said or self._calls):
            return
        self._settled()
        said = "".join(self._said) if self._said or not self._calls else None
        thought = "".join(self._thought) or None
        calls = list(self._calls.values()) or None
        self._messages.append(AssistantMessage(said, reasoning_content=thought, tool_calls=calls))
        self._unanswered = dict.fromkeys(self._calls)
        self._thought, self._said, self._calls = [], [], {}

    def _settled(self) -> None:
        for call_id in self._unanswered:
            raise _bad(
                f"No output was found for the function call `{call_id}`: a `function_call_output` must follow it."
            )


def _content(content: str | list[InputText | OutputText]) -> str | list[TextPart]:
    return content if isinstance(content, str) else [TextPart(part.text) for part in content]


def _bad(reason: str) -> BadRequest:
    return BadRequest(reason, param="input", code="invalid_value")
