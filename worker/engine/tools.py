"""The grammar of an answer: a schema's JSON, or calls of the request's tools whose arguments validate."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from llguidance import LLMatcher

from schemas.chat import ChatRequest, JsonObjectFormat, JsonSchemaFormat
from schemas.tools import FunctionDefinition, NamedChoice, Tool
from worker.engine.grammar import ANY_OBJECT, LAYOUT, of_schema, unsupported
from worker.jobs import AnswerForm, CallFormat

JSON_CALLS = CallFormat("<tool_call>", "</tool_call>")


def offered(request: ChatRequest) -> list[Tool]:
    """The tools that the model is told of."""
    return [] if request.tool_choice == "none" else request.tools or []


def must_call(request: ChatRequest) -> bool:
    return request.tool_choice == "required" or isinstance(request.tool_choice, NamedChoice)


def dialect(request: ChatRequest, native: CallFormat) -> CallFormat:
    """How the calls of this answer are written and read.

    A promise about calls is kept by a grammar, and only calls in JSON have one: where something is promised, a
    model with another dialect is made to write JSON between its own marks.
    """
    promised = must_call(request) or request.parallel_tool_calls is False
    if native.parse is None or not (promised or any(tool.function.strict for tool in offered(request))):
        return native
    return replace(native, end=native.end or JSON_CALLS.end, parse=None)


class AnswerGrammars:
    """Writes grammars of llguidance for one tokenizer, whose special tokens are no text to a grammar.

    An answer may begin with the mark that opens thoughts: what is thought never comes here. After that, `C` being
    a call, `<start>\\n{"name": "f", "arguments": {...}}\\n<end>` unless the model has a dialect of its own:

    - where a tool has to be called: `C`, and `\\nC` any number of times unless parallel calls are off
    - else with a response_format: its JSON, or calls as above
    - else: any text with calls anywhere in it; without parallel calls the first one ends the answer
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder.items()
        self._special: dict[str, int] = {token.content: at for at, token in added if token.special}
        self._ends = frozenset(tokenizer.eos_token_ids)
        longest = sorted(self._special, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, longest)) or '(?!)'})")

    def of(self, request: ChatRequest, form: AnswerForm) -> str | None:
        """The grammar of the answer to `request`, None where any text will do.

        Raises BadRequest naming the schema that cannot be enforced.
        """
        answer = None if must_call(request) else _answer(request)
        opened = form.think[0] if form.think and not form.thinking else None
        if form.calls is None:
            return answer and (answer if opened is None else self._thoughtful(answer, opened))
        if answer is None and form.calls.parse is not None:
            return None
        callable_ = _callable(request)
        exact = must_call(request) or answer is not None
        rules = [
            self._start(request, exact=exact, answer=answer is not None),
            self._opening(opened),
            *(_named("call", *self._pieces(form.calls.start), "body")),
            *self._body(form.calls, [name for name, _ in callable_]),
            *([] if exact else self._free(form)),
            r"TEXT: /(.|\n)*/",
        ]
        parts = [_part(f"arguments_{at}", grammar) for at, (_, grammar) in enumerate(callable_)]
        return _joined(rules, parts if answer is None else [*parts, _part("answer", answer)])
