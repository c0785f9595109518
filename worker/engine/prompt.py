"""From a request to tokens by the model's own template; what a client wrote stays text, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from schemas.chat import ChatRequest
from schemas.errors import BadRequest
from worker.engine.conversation import Conversation, plain_tool
from worker.engine.template import Plain, Template
from worker.engine.tools import JSON_CALLS, AnswerGrammars, dialect, must_call, offered
from worker.jobs import AnswerForm, CallFormat

# Noncharacters of Unicode: no text needs them, so one is free to mark where a control token is to be broken.
_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
_SWITCHES = ("enable_thinking", "thinking")


@dataclass(frozen=True)
class Rendered:
    """A prompt, and how the answer to it is held to its form and told apart."""

    tokens: list[int]
    form: AnswerForm
    grammar: str | None = None


class PromptTemplate:
    """Renders requests. The text of a control token from a client (`<|im_end|>`) never becomes one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._template = Template(tokenizer)
        self._grammars = AnswerGrammars(tokenizer)
        # Added tokens that are not special stand for ordinary text, such as Gemma's runs of newlines.
        added = tokenizer.added_tokens_decoder.values()
        control = sorted({token.content for token in added if token.special}, key=len)
        self._control = re.compile("|".join(re.escape(text) for text in reversed(control)) or r"(?!)")

    def render(self, request: ChatRequest) -> Rendered:
        """Raises BadRequest for what the template refuses or would ignore, and for schemas nobody can enforce."""
        try:
            return self._render(request)
        except RecursionError:
            raise BadRequest("The request is nested too deeply.", code="invalid_json") from None

    def _render(self, request: ChatRequest) -> Rendered:
        tools = [plain_tool(tool) for tool in offered(request)]
        messages = Conversation(self._template).plain(request.messages, offered(request), request.tool_choice)
        options = self._options(request)
        if tools and self._template.calls:
            options["tools"] = tools
        mark = _free_mark("".join(_texts([messages, options])))
        messages, options = self._break(messages, mark), self._break(options, mark)
        text = self._template.render(messages, **options)
        form = self._form(request, tools, thinking=self._opens_thoughts(text, messages, options))
        tokens = [token for piece in text.split(mark) for token in self._encode(piece)]
        return Rendered(tokens, form, self._grammars.of(request, form))

    def _break(self, value: Any, mark: str) -> Any:
        """The same value with the mark inside each text that would be read as a control token."""
        if isinstance(value, str):
            return self._control.sub(lambda found: found[0][0] + mark + found[0][1:], value)
        if isinstance(value, dict):
            return {self._break(key, mark): self._break(item, mark) for key, item in value.items()}
        return [self._break(item, mark) for item in value] if isinstance(value, list) else value

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _options(self, request: ChatRequest) -> Plain:
        """Variables for the template: how much to think, and what else the client sets."""
        given = request.chat_template_kwargs or {}
        reads, reserved = self._template.reads, self._template.reserved
        for name in given:
            if name in reserved:
                raise _no_effect(name, "is set by the server")
            if reads is not None and name not in reads:
                raise _no_effect(name, "is not read by this model's chat template")
        return self._effort(request) | given

    def _effort(self, request: ChatRequest) -> Plain:
        effort = request.reasoning_effort
        if effort is None:
            return {}
        reads, thinks = self._template.reads, self._tokenizer.has_thinking
        # What a renderer in code takes is not known; mlx-lm tells it by the first of the switches.
        if reads is None:
            reads = frozenset(_SWITCHES[:1] if thinks else ())
        switches, tells = [name for name in _SWITCHES if name in reads], "reasoning_effort" in reads
        if not switches and not tells:
            why = "does not let one choose how much it thinks" if thinks else "does not reason"
            raise BadRequest(
                f"`reasoning_effort` has no effect: this model {why}; leave it out.",
                param="reasoning_effort",
                code="unsupported_parameter",
            )
        if set(_SWITCHES) & set(request.chat_template_kwargs or {}):
            switches = []
        options: Plain = dict.fromkeys(switches, effort not in ("none", "minimal"))
        return options | ({"reasoning_effort": effort} if tells else {})

    def _opens_thoughts(self, text: str, messages: list[Plain], options: Plain) -> bool:
        """Whether the template has begun to think for the model: what was said before does not count."""
        if not self._tokenizer.has_thinking:
            return False
        said = self._template.render(messages, **options, add_generation_prompt=False)
        if not text.startswith(said):
            return text.rstrip().endswith(self._tokenizer.think_start)
        begun = text.removeprefix(said)
        return begun.rfind(self._tokenizer.think_start) > begun.rfind(self._tokenizer.think_end)

    def _form(self, request: ChatRequest, tools: list[Plain], thinking: bool) -> AnswerForm:
        known = self._tokenizer
        return AnswerForm(
            think=(known.think_start, known.think_end) if known.has_thinking else None,
            thinking=thinking,
            calls=dialect(request, self._native(tools)) if tools else None,
            stops=request.stops,
            calls_only=bool(tools) and must_call(request),
        )

    def _native(self, tools: list[Plain]) -> CallFormat:
        known = self._tokenizer
        if self._template.calls is None:
            return JSON_CALLS
        # The only one of mlx-lm's parsers that reads JSON of our own form needs no parser.
        if known.tool_parser.__module__.endswith(".json_tools"):
            return CallFormat(known.tool_call_start, known.tool_call_end)
        return CallFormat(
            known.tool_call_start, known.tool_call_end, partial(_parse, known.tool_parser, tools)
        )


def _parse(parser: Any, tools: list[Plain], text: str) -> Any:
    return parser(text, tools)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.keys()))
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _free_mark(text: str) -> str:
    for mark in _MARKS:
        if mark not in text:
            return mark
    reason = "The request holds every noncharacter of Unicode; leave one out."
    raise BadRequest(reason, param="messages", code="invalid_value")


def _no_effect(name: str, why: str) -> BadRequest:
    reason = f"`chat_template_kwargs.{name}` cannot be set: it {why}."
    return BadRequest(reason, param=f"chat_template_kwargs.{name}", code="unsupported_parameter")
