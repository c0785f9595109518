"""What prompts begin with alike: said to the engine beforehand, it is computed once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Neighbours in a batch may take turns between a few system prompts.
_LOOK_BACK = 8


Tokens = NDArray[np.int64]


def shared(first: Tokens, second: Tokens) -> int:
    """So many tokens of their beginnings are the same."""
    length = min(len(first), len(second))
    differing = np.flatnonzero(first[:length] != second[:length])
    return int(differing[0]) if differing.size else length


class Recent:
    """The last prompts that came: what the next one has in common with one of them, the one behind it may have, too."""

    def __init__(self) -> None:
        self._seen: deque[tuple[str, Tokens]] = deque(maxlen=_LOOK_BACK)

    def head(self, model: str, prompt: Sequence[int]) -> int:
        """So many tokens at its beginning are another's, too; one is always left to compute. Remembers it."""
        tokens = np.array(prompt, np.int64)
        found = max((shared(tokens, other) for name, other in self._seen if name == model), default=0)
        self._seen.append((model, tokens))
        return min(found, len(tokens) - 1)
