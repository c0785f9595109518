"""What was computed before, for prompts that begin alike: a recipe's head, a conversation's earlier turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.alike import Tokens, shared
from worker.engine import kv

# Less is not worth the copy of a state.
_LEAST = 16


@dataclass(frozen=True, slots=True)
class _Known:
    tokens: Tokens
    state: kv.KvState
    pinned: bool

    def usable(self, tokens: Tokens) -> int:
        """So many tokens of its own that `tokens` begins with; one of them has to be left to compute.

        A cache that cannot be trimmed (a sliding window, a recurrent state) is of use as a whole or not at all.
        """
        found = shared(self.tokens, tokens[:-1])
        return found if found == len(self.tokens) or kv.trimmable(self.state) else 0


class Prefixes:
    """KV states by the tokens they stand for, bounded in bytes: the least recently used goes first, pinned ones last.

    A state that is kept is never written to. Belongs to the engine's thread.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._known: OrderedDict[tuple[int, ...], _Known] = OrderedDict()

    def longest(self, tokens: Sequence[int]) -> tuple[int, kv.KvState | None]:
        """How many tokens of the beginning are known, and a state of one's own after them."""
        wanted = np.array(tokens)
        best = max(self._known.items(), key=lambda item: item[1].usable(wanted), default=None)
        if best is None or (found := best[1].usable(wanted)) < _LEAST:
            return 0, None
        key, known = best
        self._known.move_to_end(key)
        return found, kv.trimmed(kv.copied(known.state), len(known.tokens) - found)

    def keep(self, tokens: Sequence[int], state: kv.KvState, pinned: bool = False) -> None:
        """Remember a state, which nobody may write to from now on."""
        key = tuple(tokens)
        if not pinned:
            self._forget_beginnings(key)
        self._known[key] = _Known(np.array(key), state, pinned)
        while len(self._known) > 1 and self.nbytes > self._budget:
            del self._known[
                next((k for k, one in self._known.items() if not one.pinned), next(iter(self._known)))
            ]

    def _forget_beginnings(self, key: tuple[int, ...]) -> None:
        """An earlier turn of the same conversation is part of this one, if it can be cut out of it again."""
        for other, known in list(self._known.items()):
            if not known.pinned and kv.trimmable(known.state) and key[: len(other)] == other:
                del self._known[other]

    @property
    def nbytes(self) -> int:
        return sum(kv.nbytes(known.state) for known in self._known.values())
