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

_Key = tuple[str, tuple[int, ...]]  # the model, and the tokens


@dataclass(slots=True)
class _Known:
    tokens: Tokens
    state: kv.KvState
    nbytes: int
    pinned: bool

    def usable(self, tokens: Tokens) -> int:
        """So many tokens of its own that `tokens` begins with; one of them has to be left to compute.

        A cache that cannot be trimmed (a sliding window, a recurrent state) is of use as a whole or not at all.
        """
        found = shared(self.tokens, tokens[:-1])
        return found if found == len(self.tokens) or kv.trimmable(self.state) else 0


class Prefixes:
    """KV states of all models by the tokens they stand for, never more bytes than their budget: the least recently
    used goes first. Pinned ones stay, and have at most half of it.

    A state that is kept is never written to. Belongs to the engine's thread.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._known: OrderedDict[_Key, _Known] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(known.nbytes for known in self._known.values())

    def longest(self, model: str, tokens: Sequence[int]) -> tuple[int, kv.KvState | None]:
        """How many tokens of the beginning are known, and a state of one's own after them."""
        wanted = np.array(tokens)
        usable = {key: self._known[key].usable(wanted) for key in self._of(model)}
        # Of those that know as much, the shortest: it is the least to copy.
        best = max(usable, key=lambda key: (usable[key], -len(key[1])), default=None)
        if best is None or usable[best] < _LEAST:
            return 0, None
        known, found = self._known[best], usable[best]
        if found == len(known.tokens):
            # Where only the beginning served, the rest may be dead, and who asked keeps the beginning with its own.
            self._known.move_to_end(best)
        return found, kv.trimmed(kv.copied(known.state), len(known.tokens) - found)

    def keep(self, model: str, tokens: Sequence[int], state: kv.KvState, pinned: bool = False) -> None:
        """Remember a state, which nobody may write to from now on; not one that is too large for it."""
        key, nbytes = (model, tuple(tokens)), kv.nbytes(state)
        pinned = pinned and nbytes <= self._for_pinned
        if not pinned:
            if nbytes > self._budget - self._pinned_bytes:
                return
            self._forget_beginnings(key)
        self._known.pop(key, None)
        self._known[key] = _Known(np.array(tokens), state, nbytes, pinned)
        self._make_room()

    def bound(self, budget: int) -> None:
        """Have another budget from now on."""
        self._budget = budget
        self._make_room()

    def forget(self, model: str) -> None:
        """All that is known of it."""
        for key in self._of(model):
            del self._known[key]

    def _of(self, model: str) -> list[_Key]:
        return [key for key in self._known if key[0] == model]

    @property
    def _for_pinned(self) -> int:
        return self._budget // 2

    @property
    def _pinned_bytes(self) -> int:
        return sum(known.nbytes for known in self._known.values() if known.pinned)

    def _forget_beginnings(self, key: _Key) -> None:
        """An earlier turn of the same conversation is part of this one, if it can be cut out of it again."""
        model, tokens = key
        for other in self._of(model):
            known = self._known[other]
            if not known.pinned and kv.trimmable(known.state) and tokens[: len(other[1])] == other[1]:
                del self._known[other]

    def _make_room(self) -> None:
        over = self._pinned_bytes - self._for_pinned
        for known in self._known.values():
            if over > 0 and known.pinned:
                known.pinned = False
                over -= known.nbytes
        over = self.nbytes - self._budget
        for key, known in list(self._known.items()):
            if over > 0 and not known.pinned:
                del self._known[key]
                over -= known.nbytes
