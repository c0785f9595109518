"""Prompts on their way into KV state, one chunk at a time, so that decoding goes on in between."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from worker.engine import device, kv
from worker.engine.prefix import Prefixes
from worker.jobs import Prepared


class Prompt:
    """One request's prompt; all its choices will share the state. A head that others share is computed once and
    kept.
    """

    def __init__(self, work: Prepared, weights: Any, prefixes: Prefixes) -> None:
        self._model = work.model
        self._tokens = work.prompt
        self._head = work.head
        self._pinned = work.pinned
        self._weights = weights
        self._prefixes = prefixes
        self._state: kv.KvState | None = None
        self._at = 0
        self.cached = 0

    @property
    def ready(self) -> bool:
        """All but the last token is computed."""
        return self._state is not None and self._at >= len(self._tokens) - 1

    @property
    def width(self) -> int:
        """Tokens that are computed."""
        return self._at

    @property
    def nbytes(self) -> int:
        return 0 if self._state is None else kv.nbytes(self._state)

    def remember(self) -> None:
        """For others that begin alike, unless all of it was known."""
        assert self._state is not None
        if self._at > self.cached:
            self._prefixes.keep(self._model, self._tokens[: self._at], kv.copied(self._state))

    def end(self) -> tuple[kv.KvState, mx.array]:
        """Compute the last token, alone: of a whole chunk the model would work out everyone's logits. Returns
        the state of the whole prompt, and the logits [1, vocabulary] of what comes after it.
        """
        assert self._state is not None
        logits = self._weights(mx.array([self._tokens[-1:]]), cache=self._state)[:, -1, :]
        device.start(logits)
        return self._state, logits

    def compute(self, chunk: int) -> int:
        """Put at most `chunk` more tokens on their way, and say how many; the device may still be at it."""
        state = self._begin() if self._state is None else self._state
        # A chunk ends where the head does, or its state could not be kept.
        border = self._head if self._at < self._head else len(self._tokens) - 1
        start, end = self._at, min(self._at + chunk, border)
        if end > start:
            self._weights(mx.array([self._tokens[start:end]]), cache=state)
            device.start(kv.arrays(state))
            self._at = end
            if end == self._head:
                self._prefixes.keep(self._model, self._tokens[:end], kv.copied(state), self._pinned)
        return end - start

    def wait(self) -> None:
        """Until the device has computed what it was given."""
        if self._state is not None:
            mx.eval(kv.arrays(self._state))

    def _begin(self) -> kv.KvState:
        self.cached, known = self._prefixes.longest(self._model, self._tokens)
        self._at = self.cached
        self._state = known or kv.fresh(self._weights)
        return self._state
