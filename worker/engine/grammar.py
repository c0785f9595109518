"""Answers that always validate: a grammar says for each row which tokens keep to it, and no other is drawn."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, cast

import mlx.core as mx
import numpy as np
from llguidance import LLExecutor, LLMatcher, LLParserLimits, LLTokenizer
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask, fill_next_token_bitmask_par
from numpy.typing import NDArray

from schemas.errors import BadRequest
from worker.engine.subset import unsupported

# Free white space would let a weak model print blanks until its tokens are spent.
LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

ANY_OBJECT = {"type": "object"}
_BITS = 32
# Wide objects need rows of the parser longer than it grants by itself.
_LIMITS = LLParserLimits(max_items_in_row=20_000)

Packed = NDArray[np.int32]


class Grammars:
    """The grammars of one tokenizer, compiled once each. `vocabulary` is the width of the logits."""

    def __init__(self, tokenizer: Any, eos: list[int], vocabulary: int) -> None:
        # Some tokenizers know tokens that the weights do not; the masks are cut to the logits.
        self.vocabulary = max(vocabulary, len(tokenizer))
        self.tokenizer: LLTokenizer = from_tokenizer(tokenizer, n_vocab=self.vocabulary, eos_token=eos)
        self._eos = eos
        self.compile = functools.lru_cache(maxsize=256)(self._compile)

    def _compile(self, grammar: str, param: str) -> LLMatcher:
        """A matcher at the start of `grammar`, to be copied for each row.

        Raises BadRequest with the compiler's reason when it is outside the supported subset.
        """
        matcher = LLMatcher(self.tokenizer, grammar, log_level=0, limits=_LIMITS)
        if matcher.is_error():
            raise unsupported(matcher.get_error(), param)
        if not self._can_begin(matcher.deep_copy()):
            raise unsupported("no JSON text satisfies it.", param)
        return matcher

    def _can_begin(self, matcher: LLMatcher) -> bool:
        """Whether any token but the end may come first: the empty text is no JSON."""
        mask = allocate_token_bitmask(1, self.vocabulary)
        fill_next_token_bitmask(matcher, mask)
        allowed = np.unpackbits(mask.view(np.uint8), bitorder="little")[: self.vocabulary]
        allowed[self._eos] = 0
        return bool(allowed.any())

    def guide(self, grammar: str, param: str) -> Guide:
        return Guide(self.compile(grammar, param).deep_copy(), param)

    def not_yet(self) -> Packed:
        """The mask of a row that still thinks: anything but the end."""
        mask = allocate_token_bitmask(1, self.vocabulary)
        for token in self._eos:
            mask.view(np.uint32)[0, token // _BITS] &= np.uint32(0xFFFFFFFF ^ (1 << token % _BITS))
        return cast(Packed, mask[0])


def of_schema(schema: dict[str, Any]) -> str:
    """The grammar of a JSON Schema; the order of its keys is the order in which they are written.

    Raises BadRequest, naming the keyword, when it is outside the supported subset.
    """
    try:
        # In place of a client's own: with `lenient` it could switch the enforcement off.
        text = json.dumps(schema | {"x-guidance": LAYOUT}, ensure_ascii=False)
        return str(LLMatcher.grammar_from_json_schema(text))
    except RecursionError:
        raise unsupported("it is nested too deeply.") from None
    except ValueError as error:
        raise unsupported(str(error)) from None


class Guide:
    """One row's place in its grammar.

    `waiting` while the row thinks before it answers. `broken` says why it cannot go on, be it a limit of the
    grammar's machine: that row alone has failed.
    """

    def __init__(self, matcher: LLMatcher, param: str) -> None:
        self.matcher = matcher
        self.waiting = False
        self._param = param

    def take(self, token: int) -> None:
        if not self.waiting and not self.matcher.is_stopped():
            self.matcher.consume_token(token)

    @property
    def complete(self) -> bool:
        """Nothing may follow any more."""
        return self.matcher.is_stopped()

    @property
    def broken(self) -> BadRequest | None:
        if not self.matcher.is_error():
            return None
        return unsupported(self.matcher.get_error() or "the model left its grammar.", self._param)

    @property
    def cut(self) -> BadRequest | None:
        """Why the answer must not end here, if it must not: where its machine gives up, only the end is left."""
        if self.complete or (self.matcher.is_accepting() and not self.waiting):
            return self.broken
        return self.broken or unsupported(
            "its grammar came to an end in the middle of an answer.", self._param
        )


class Masks:
    """What the guides allow, for all rows at once. Its work is for the time of the forward pass."""

    def __init__(self, grammars: Grammars) -> None:
        self._vocabulary = grammars.vocabulary
        self._not_yet = grammars.not_yet()
        self._executor = LLExecutor()

    def fill(self, guides: Sequence[Guide | None]) -> Packed | None:
        """Packed bits [rows, vocabulary / 32] of the tokens that may come next; None when any may."""
        if not any(guides):
            return None
        packed = allocate_token_bitmask(len(guides), self._vocabulary)
        at_work = [(g.matcher, row) for row, g in enumerate(guides) if g is not None and not g.waiting]
        if at_work:
            fill_next_token_bitmask_par(self._executor, at_work, packed)
        for row, guide in enumerate(guides):
            if guide is not None and guide.waiting:
                packed[row] = self._not_yet
        return packed

    def apply(self, packed: Packed, logits: mx.array) -> mx.array:
        """Forbid in `logits` [rows, vocabulary] what is not in `packed`.

        llguidance's own kernel for MLX is Metal only; shifting runs everywhere, and the bits cross packed.
        """
        words = mx.array(packed.view(np.uint32))
        bits = (words[:, :, None] >> mx.arange(_BITS, dtype=mx.uint32)) & 1
        allowed = bits.reshape(len(packed), -1)[:, : logits.shape[-1]] == 1
        return mx.where(allowed, logits, -mx.inf)
