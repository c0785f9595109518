"""What many prompts begin with, computed once: the KV state of a recipe's head, shared by all its articles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

KvState = list[Any]


def common(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The longest beginning that both have."""
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]


class Prefixes:
    """KV states by the tokens they stand for, least recently used out first, bounded in bytes.

    A state is never written to: merging it into a batch copies it. Belongs to the engine's thread.
    """

    def __init__(self, weights: Any, chunk: int, budget: int) -> None:
        self._weights = weights
        self._chunk = chunk
        self._budget = budget
        self._states: OrderedDict[tuple[int, ...], KvState] = OrderedDict()

    def get(self, tokens: tuple[int, ...]) -> KvState:
        """The state after `tokens`, computed now if this is the first time."""
        state = self._states.pop(tokens, None)
        if state is None:
            state = self._compute(tokens)
        self._states[tokens] = state
        while len(self._states) > 1 and self._bytes() > self._budget:
            self._states.popitem(last=False)
        return state

    def _compute(self, tokens: tuple[int, ...]) -> KvState:
        state: KvState = make_prompt_cache(self._weights)
        for start in range(0, len(tokens), self._chunk):
            self._weights(mx.array([tokens[start : start + self._chunk]]), cache=state)
            mx.eval([layer.state for layer in state])
        return state

    def _bytes(self) -> int:
        return sum(layer.nbytes for state in self._states.values() for layer in state)
