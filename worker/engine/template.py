"""A model's chat template and what it knows: there is no standard to ask, so small conversations are rendered."""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import dataclass
from itertools import product
from typing import Any

import jinja2
import jinja2.meta
from transformers import PreTrainedTokenizerBase

from schemas.errors import BadRequest

Plain = dict[str, Any]

# What templates trip over without a word of their own, such as a number where they expect a text.
_TRIPPED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")  # a tag of transformers, unknown to Jinja
_PROBE = "qzprobe"
_HI: Plain = {"role": "user", "content": "Hi"}
_PROBE_TOOL: Plain = {
    "type": "function",
    "function": {"name": _PROBE, "description": "Hi", "parameters": {"type": "object", "properties": {}}},
}


@dataclass(frozen=True)
class CallStyle:
    """How a template takes earlier calls: arguments as an object or as text, ids as they are or in Mistral's nine."""

    objects: bool
    short_ids: bool

    def id(self, known: str, at: int) -> str:
        return f"call{at:05}" if self.short_ids else known


class Template:
    """Renders conversations of plain dicts. What it knows is found out once, when first asked for."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.shows_name = functools.cache(self._shows_name)

    def render(self, messages: list[Plain], **options: Any) -> str:
        """The text of a conversation, up to where the answer begins. Raises BadRequest where it is refused."""
        options = {"add_generation_prompt": True, "tokenize": False} | options
        try:
            text: str = self._tokenizer.apply_chat_template(messages, **options)
        except jinja2.TemplateError as error:
            raise _refused(f": {error}") from None
        except _TRIPPED:
            raise _refused(", or cannot work with the values of `chat_template_kwargs`.") from None
        return text

    @functools.cached_property
    def calls(self) -> CallStyle | None:
        """How it takes tools, calls and their results; None where it knows no such things, or mlx-lm cannot read
        what the model makes of them."""
        if not self._tokenizer.has_tool_calling or not self._shows([_HI], _PROBE, tools=[_PROBE_TOOL]):
            return None
        styles = (CallStyle(objects, short) for short, objects in product((False, True), (True, False)))
        return next(filter(self._takes, styles), None)

    @functools.cached_property
    def knows_system(self) -> bool:
        return self._shows([{"role": "system", "content": _PROBE}, _HI], _PROBE)

    @functools.cached_property
    def reads(self) -> frozenset[str] | None:
        """The variables that it reads; None where it is not a template but code."""
        if self._is_code:
            return None
        source = self._tokenizer.chat_template
        sources = source.values() if isinstance(source, dict) else [source]
        environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=True)
        trees = (environment.parse(_GENERATION.sub("", text)) for text in sources)
        return frozenset(name for tree in trees for name in jinja2.meta.find_undeclared_variables(tree))

    @functools.cached_property
    def reserved(self) -> frozenset[str]:
        """Variables that are the server's to set."""
        own = inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters
        globals_ = (
            "messages",
            "conversations",
            "raise_exception",
            "strftime_now",
            *jinja2.Environment().globals,
        )
        return frozenset((*own, *globals_, *self._tokenizer.special_tokens_map))

    @property
    def _is_code(self) -> bool:
        given = getattr(self._tokenizer, "_chat_template", None) is not None
        own = type(self._tokenizer._tokenizer).apply_chat_template
        return given or own is not PreTrainedTokenizerBase.apply_chat_template

    def _shows_name(self, role: str) -> bool:
        named = {"role": role, "content": "Hi", "name": _PROBE}
        return self._shows({"system": [named, _HI], "assistant": [_HI, named]}.get(role, [named]), _PROBE)

    def _takes(self, style: CallStyle) -> bool:
        called, given, returned = (f"{_PROBE}{what}" for what in ("called", "given", "returned"))
        known = style.id("call_0123456789abcdef", 0)
        arguments = {"x": given} if style.objects else f'{{"x": "{given}"}}'
        call = {"id": known, "type": "function", "function": {"name": called, "arguments": arguments}}
        answer = {"role": "tool", "tool_call_id": known, "name": called, "content": returned}
        messages = [_HI, {"role": "assistant", "content": "", "tool_calls": [call]}, answer]
        return self._shows(messages, called, given, returned)

    def _shows(self, messages: list[Plain], *marks: str, **options: Any) -> bool:
        try:
            text = self.render(messages, **options)
        except BadRequest:
            return False
        return all(mark in text for mark in marks)


def _refused(reason: str) -> BadRequest:
    message = f"The model's chat template refuses these messages{reason}"
    return BadRequest(message, param="messages", code="invalid_value")
