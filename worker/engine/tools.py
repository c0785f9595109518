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
from worker.engine import subset
from worker.engine.grammar import ANY_OBJECT, LAYOUT, of_schema
from worker.engine.subset import unsupported
from worker.jobs import AnswerForm, CallFormat

JSON_CALLS = CallFormat("<tool_call>", "</tool_call>")


def offered(request: ChatRequest) -> list[Tool]:
    """The tools that the model is told of."""
    return [] if request.tool_choice == "none" else request.tools or []


def must_call(request: ChatRequest) -> bool:
    return request.tool_choice == "required" or isinstance(request.tool_choice, NamedChoice)


def may_repeat(request: ChatRequest) -> bool:
    """Whether an answer may hold several calls. A function that was named is called exactly once, as at OpenAI."""
    return request.parallel_tool_calls is not False and not isinstance(request.tool_choice, NamedChoice)


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
    """Writes grammars of llguidance for one tokenizer.

    An answer may begin with the mark that opens thoughts; what is thought is not for a grammar. After it, `C` being
    a call, `<start>\\n{"name": "f", "arguments": {...}}\\n<end>` unless the model has a dialect of its own:

    - where a tool has to be called: `C`, and `\\nC` any number of times where it may repeat itself
    - else with a response_format: its JSON, or calls as above
    - else: any text with calls anywhere in it; without parallel calls the first one ends the answer
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder.items()
        self._special: dict[str, int] = {token.content: at for at, token in added if _is_special(token)}
        self._ends = frozenset(tokenizer.eos_token_ids)
        control = [token.content for _, token in added if token.special]
        self._control = re.compile("|".join(map(re.escape, control)) or "(?!)")
        longest = sorted(self._special, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, longest)) or '(?!)'})")

    def of(self, request: ChatRequest, form: AnswerForm) -> str | None:
        """The grammar of the answer to `request`, None where any text will do.

        Raises BadRequest naming the schema that cannot be enforced.
        """
        self._check(request)
        answer = None if must_call(request) else _answer(request)
        thoughts = f"({self._exactly(form.think[0])})?" if form.think and not form.thinking else ""
        calls = form.calls
        if calls is not None and (calls.parse is None or answer is not None or must_call(request)):
            return self._calling(request, calls, thoughts, answer)
        if answer is None or not thoughts:
            return answer
        return _joined([f"start: {thoughts} @answer"], {"answer": answer})

    def _check(self, request: ChatRequest) -> None:
        """Raises BadRequest for a schema that the compiler must not see."""
        if isinstance(wanted := request.response_format, JsonSchemaFormat):
            subset.check(wanted.json_schema.schema, control=self._control)
        for at, tool in enumerate(offered(request)):
            if tool.function.parameters:
                subset.check(tool.function.parameters, f"tools[{at}].function.parameters", self._control)

    def _calling(self, request: ChatRequest, calls: CallFormat, thoughts: str, answer: str | None) -> str:
        several = may_repeat(request)
        series = r'call ("\n" call)*' if several else "call"
        functions = _functions(request)
        rules = [r"TEXT: /(.|\n)*/", *self._calls(calls, [name for name, _ in functions])]
        parts = {f"arguments_{at}": grammar for at, (_, grammar) in enumerate(functions)}
        if answer is not None:
            start = f"{thoughts} (@answer | {series})"
            parts["answer"] = answer
        elif must_call(request):
            start = f"{thoughts} {series}"
        else:
            start = "(other | begin body)* TEXT" if several else "other* (TEXT | begin body)"
            rules += self._text(calls.start)
        return _joined([f"start: {start}", *rules], parts)

    def _calls(self, calls: CallFormat, names: list[str]) -> Iterator[str]:
        yield f"call: {self._exactly(calls.start)} body"
        if calls.parse is not None:
            yield from self._until("body", calls.end) if calls.end else ["body: TEXT"]
            return
        yield f'body: "\\n" function "\\n" {self._exactly(calls.end)}'
        yield "function: " + " | ".join(f"function_{at}" for at in range(len(names)))
        for at, name in enumerate(names):
            head = f'{{"name": {json.dumps(name)}, "arguments": '
            yield f'function_{at}: {_literal(head)} @arguments_{at} "}}"'

    def _text(self, mark: str) -> Iterator[str]:
        """Text up to a call, and up to a token that is no text: a model may draw it, as it may without a grammar."""
        yield from self._until("begin", mark)
        called = self._pieces(mark)[0]
        others = sorted(at for at in self._special.values() if at not in self._ends and _token(at) != called)
        yield f"other: TEXT {_token(*others) if others else _literal(chr(0))}"

    def _until(self, name: str, mark: str) -> list[str]:
        """Rules for any text that ends with the first `mark` in it."""
        first, *more = self._pieces(mark)
        if first.startswith("<"):
            return [f"{name}: TEXT {first} {' '.join(more)}"]
        return [f"{name}_lazy[lazy]: TEXT {first}", f"{name}: {name}_lazy {' '.join(more)}"]

    def _exactly(self, mark: str) -> str:
        return " ".join(self._pieces(mark))

    def _pieces(self, mark: str) -> list[str]:
        parts = [part for part in self._split.split(mark) if part]
        return [_token(self._special[part]) if part in self._special else _literal(part) for part in parts]


def _is_special(token: Any) -> bool:
    """Whether llguidance takes an added token for no text; it goes by looks, too."""
    text: str = token.content
    return bool(token.special) or (text.startswith("<") and text.endswith(">"))


def _token(*ids: int) -> str:
    """Any of these tokens."""
    return f"<[{','.join(map(str, ids))}]>"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _answer(request: ChatRequest) -> str | None:
    match request.response_format:
        case JsonSchemaFormat(json_schema=wanted):
            return of_schema(wanted.schema)
        case JsonObjectFormat():
            return of_schema(ANY_OBJECT)
        case _:
            return None


def _functions(request: ChatRequest) -> list[tuple[str, str]]:
    """Names and grammars of what may be called."""
    chosen = request.tool_choice
    wanted = chosen.function.name if isinstance(chosen, NamedChoice) else None
    return [
        (tool.function.name, _arguments(tool.function, f"tools[{at}].function.parameters"))
        for at, tool in enumerate(offered(request))
        if wanted in (None, tool.function.name)
    ]


def _arguments(function: FunctionDefinition, param: str) -> str:
    """Raises BadRequest with `param` for a schema outside the supported subset."""
    if function.parameters is None:
        schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    else:
        schema = {"type": "object"} | function.parameters
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "object" not in kinds:
        raise unsupported("arguments are an object, so its `type` has to be `object`.", param)
    try:
        text = json.dumps(schema | {"type": "object", "x-guidance": LAYOUT}, ensure_ascii=False)
    except RecursionError:
        raise unsupported("it is nested too deeply.", param) from None
    grammar, complaint = _compiled(text)
    if complaint:
        raise unsupported(complaint, param)
    return grammar


@functools.lru_cache(maxsize=512)
def _compiled(schema: str) -> tuple[str, str]:
    """The grammar of a schema, and what speaks against it. Together with others nobody could say whose fault it is."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema)
    except ValueError as error:
        return "", str(error)
    return grammar, LLMatcher.validate_grammar(grammar)


def _joined(rules: list[str], parts: dict[str, str]) -> str:
    """One grammar out of rules and the grammars that they refer to by name."""
    found = [json.loads(grammar)["grammars"][0] | {"name": name} for name, grammar in parts.items()]
    main = {"name": "main", "lark_grammar": "\n".join(rules)}
    return json.dumps({"grammars": [main, *found]}, ensure_ascii=False)
