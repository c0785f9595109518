"""A request's messages as a chat template takes them, and the words that tell a model of tools where it cannot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from schemas.messages import (
    AssistantMessage,
    DeveloperMessage,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
    text,
)
from schemas.tools import NamedChoice, Tool, ToolCall, ToolChoice
from worker.engine.template import Plain, Template
from worker.engine.tools import JSON_CALLS


class Conversation:
    """The messages of one request.

    Where the template knows tools, they, their calls and what these returned go through it. For the others there
    is a fallback in plain words:

    - what `_instruction` says stands at the end of the first system message or in a new one; where the template
      shows no system messages, before the text of the first message
    - a call is content: `<tool_call>`, `{"name": ..., "arguments": {...}}`, `</tool_call>`, each on its line
    - what calls returned is a user message: `<tool_response name="...">`, the text, `</tool_response>`; results
      in a row are one message

    Results in a row stand in the order of their calls, so that `tool_call_id` counts also where it is not shown.
    A `name` that the template does not show begins the content: `name: content`.
    """

    def __init__(self, template: Template) -> None:
        self._template = template
        self._style = template.calls
        self._made = 0  # calls so far
        self._calls: dict[str, tuple[int, str]] = {}  # by id: which call, and of what

    def plain(
        self, messages: Sequence[Message], tools: Sequence[Tool], choice: ToolChoice | None
    ) -> list[Plain]:
        """Messages for the template, which has to be given the `tools` only if it knows calls."""
        made: list[Plain] = []
        for returned, group in groupby(messages, lambda message: isinstance(message, ToolMessage)):
            if returned:
                made += self._returned([message for message in group if isinstance(message, ToolMessage)])
            else:
                made += [self._said(message) for message in group]
        return self._told(made, _instruction(tools, choice)) if tools and not self._style else made

    def _said(self, message: Message) -> Plain:
        role, content = _role(message), _words(message)
        plain: Plain = {"role": role}
        if not isinstance(message, ToolMessage) and message.name:
            if self._template.shows_name(role):
                plain["name"] = message.name
            else:
                content = f"{message.name}: {content}"
        if isinstance(message, AssistantMessage):
            if message.reasoning_content is not None:
                plain["reasoning_content"] = message.reasoning_content
            if calls := [self._called(call) for call in message.tool_calls or []]:
                if self._style:
                    plain["tool_calls"] = calls
                else:
                    content = "\n".join([*filter(None, [content]), *map(_written, calls)])
        return plain | {"content": content}

    def _called(self, call: ToolCall) -> Plain:
        name, arguments = call.function.name, call.function.arguments
        self._calls[call.id] = at, _ = self._made, name
        self._made += 1
        return {
            "id": self._style.id(call.id, at) if self._style else call.id,
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if self._style and not self._style.objects else _parsed(arguments),
            },
        }

    def _returned(self, results: Sequence[ToolMessage]) -> list[Plain]:
        known = sorted(
            (at, result.name or name, result.tool_call_id, text(result.content))
            for result in results
            for at, name in [self._calls[result.tool_call_id]]
        )
        if self._style is None:
            said = [
                f'<tool_response name="{name}">\n{content}\n</tool_response>' for _, name, _, content in known
            ]
            return [{"role": "user", "content": "\n".join(said)}]
        return [
            {"role": "tool", "tool_call_id": self._style.id(id_, at), "name": name, "content": content}
            for at, name, id_, content in known
        ]

    def _told(self, made: list[Plain], instruction: str) -> list[Plain]:
        if not self._template.knows_system:
            first, *more = made
            return [first | {"content": f"{instruction}\n\n{first['content']}"}, *more]
        at = next((at for at, message in enumerate(made) if message["role"] == "system"), None)
        if at is None:
            return [{"role": "system", "content": instruction}, *made]
        content = f"{made[at]['content']}\n\n{instruction}".lstrip("\n")
        return [*made[:at], made[at] | {"content": content}, *made[at + 1 :]]


def _instruction(tools: Sequence[Tool], choice: ToolChoice | None) -> str:
    """Models are trained on words like these for the marks of Hermes and Qwen, so that small ones know them too."""
    lines = [
        "You can call functions. Each line between <tools> and </tools> describes one as JSON:",
        "<tools>",
        *(_dump(plain_tool(tool)["function"]) for tool in tools),
        "</tools>",
        "To call a function, write its name and arguments like this, once for each call:",
        JSON_CALLS.start,
        '{"name": "function name", "arguments": {"argument name": "value"}}',
        JSON_CALLS.end,
        "What it returned follows between <tool_response> and </tool_response>.",
    ]
    if isinstance(choice, NamedChoice):
        lines.append(f"Call the function {choice.function.name} now.")
    elif choice == "required":
        lines.append("Call at least one function now.")
    return "\n".join(lines)


def plain_tool(tool: Tool) -> Plain:
    """A tool as OpenAI writes it, for templates."""
    function: Plain = {"name": tool.function.name}
    if tool.function.description is not None:
        function["description"] = tool.function.description
    function["parameters"] = tool.function.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _role(message: Message) -> str:
    match message:
        case SystemMessage() | DeveloperMessage():
            return "system"
        case UserMessage():
            return "user"
        case AssistantMessage():
            return "assistant"
        case ToolMessage():
            return "tool"


def _words(message: Message) -> str:
    """What it says: an assistant that refused has said just that."""
    said = text(message.content)
    return said or message.refusal or "" if isinstance(message, AssistantMessage) else said


def _written(call: Plain) -> str:
    """A call in the layout of forced calls."""
    return f"{JSON_CALLS.start}\n{_dump(call['function'])}\n{JSON_CALLS.end}"


def _parsed(arguments: str) -> Any:
    """An object where it is one: many templates look into it. Else the text, as a model once wrote it."""
    try:
        parsed = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _dump(value: Plain) -> str:
    return json.dumps(value, ensure_ascii=False)
