"""What many prompts begin with, computed once: the KV state of a recipe's head, shared by all its articles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile

from worker.engine import kv


def common(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The longest beginning that both have."""
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]


class Prefixes:
    """KV states by the tokens they stand for, least recently used out first, bounded in bytes.

    A state that is kept is never written to. Belongs to the engine's thread.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._states: OrderedDict[tuple[int, ...], kv.KvState] = OrderedDict()

    def get(self, tokens: tuple[int, ...]) -> kv.KvState | None:
        """A state of its own after `tokens`, or None when it is not here."""
        state = self._states.get(tokens)
        if state is None:
            return None
        self._states.move_to_end(tokens)
        return kv.copied(state)

    def keep(self, tokens: tuple[int, ...], state: kv.KvState) -> None:
        """Remember a state; the caller goes on with its own."""
        self._states[tokens] = kv.copied(state)
        while len(self._states) > 1 and self.nbytes > self._budget:
            self._states.popitem(last=False)

    @property
    def nbytes(self) -> int:
        return sum(kv.nbytes(state) for state in self._states.values())
