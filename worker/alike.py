"""What prompts begin with alike: said to the engine beforehand, it is computed once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

# Neighbours in a batch may take turns between a few system prompts.
_LOOK_BACK = 8


def common(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The longest beginning that both have."""
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]


class Recent:
    """The last prompts that came: what the next one has in common with one of them, the one behind it may have, too."""

    def __init__(self) -> None:
        self._seen: deque[tuple[str, NDArray[np.int64]]] = deque(maxlen=_LOOK_BACK)

    def head(self, model: str, prompt: Sequence[int]) -> int:
        """So many tokens at its beginning are another's, too; one is always left to compute. Remembers it."""
        tokens = np.array(prompt, np.int64)
        found = max((_shared(tokens, other) for name, other in self._seen if name == model), default=0)
        self._seen.append((model, tokens))
        return min(found, len(tokens) - 1)


def _shared(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    length = min(len(first), len(second))
    differing = np.flatnonzero(first[:length] != second[:length])
    return int(differing[0]) if differing.size else length
