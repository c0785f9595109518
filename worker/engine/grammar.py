"""Answers that always validate: a JSON Schema becomes a grammar, and only tokens that keep to it can be drawn."""

from __future__ import annotations

import functools
import json
from typing import Any, cast

import mlx.core as mx
import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from schemas.errors import BadRequest

# Free white space would let a weak model print blanks until its tokens are spent.
_LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

ANY_OBJECT = {"type": "object"}


class Grammars:
    """The grammars of one tokenizer, compiled once per schema. `vocabulary` is the width of the logits."""

    def __init__(self, tokenizer: Any, eos: list[int], vocabulary: int) -> None:
        self._tokenizer: LLTokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=eos)
        self._eos = eos
        self._vocabulary = vocabulary
        self.compile = functools.lru_cache(maxsize=64)(self._compile)

    def _compile(self, schema: str) -> LLMatcher:
        """A matcher at the start of `schema`, to be copied for each row.

        Raises BadRequest with the compiler's reason when the schema is outside the supported subset.
        """
        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_LAYOUT)
        except ValueError as error:
            raise unsupported(str(error)) from None
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise unsupported(matcher.get_error())
        if not self._can_begin(matcher.deep_copy()):
            raise unsupported("no JSON text satisfies it.")
        return matcher

    def _can_begin(self, matcher: LLMatcher) -> bool:
        """Whether any token but the end may come first: the empty text is no JSON."""
        mask = allocate_token_bitmask(1, self._vocabulary)
        fill_next_token_bitmask(matcher, mask)
        allowed = np.unpackbits(mask.view(np.uint8), bitorder="little")[: self._vocabulary]
        allowed[self._eos] = 0
        return bool(allowed.any())

    def guide(self, schema: str) -> Guide:
        return Guide(self.compile(schema).deep_copy(), self._vocabulary)


def dump(schema: dict[str, Any]) -> str:
    """One text per schema, the order of its keys kept: it is the order in which they are written."""
    try:
        return json.dumps(schema, ensure_ascii=False)
    except RecursionError:
        raise unsupported("it is nested too deeply.") from None


def unsupported(reason: str) -> BadRequest:
    return BadRequest(
        f"The JSON Schema cannot be enforced: {' '.join(reason.split())}",
        param="response_format",
        code="unsupported_schema",
    )


class Guide:
    """One row's place in its grammar, as a logits processor of the batch.

    `broken` says why it cannot go on, be it a limit of the grammar's machine: that row alone has failed.
    """

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._mask = allocate_token_bitmask(1, vocabulary)
        self._vocabulary = vocabulary
        self._started = False
        self.broken: str | None = None

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        # A finished row is computed for one more step before the batch drops it.
        if self._started and not self._matcher.is_stopped():
            self._matcher.consume_token(cast(int, tokens[-1].item()))
        self._started = True
        fill_next_token_bitmask(self._matcher, self._mask)
        if self._matcher.is_error():
            self.broken = self._matcher.get_error() or "the model left its grammar."
        # llguidance's own kernel for MLX is Metal only; unpacking runs everywhere.
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: self._vocabulary]
        return mx.where(mx.array(bits.astype(bool)), logits, -mx.inf)
