"""Prompts on their way into KV state, one chunk at a time, so that decoding goes on in between."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from worker.engine import device, kv
from worker.engine.prefix import Prefixes
from worker.jobs import Prepared


class Prompt:
    """One request's prompt; all its choices will share the state. The last token is left to the first decode
    step. A head that others share is computed once and kept.
    """

    def __init__(self, work: Prepared, weights: Any, prefixes: Prefixes) -> None:
        self._tokens = work.prompt
        self._head = work.head
        self._weights = weights
        self._prefixes = prefixes
        self.cached = 0
        self.state: kv.KvState | None = None
        self._at = 0

    @property
    def ready(self) -> bool:
        return self.state is not None and self._at >= len(self._tokens) - 1

    def take(self) -> kv.KvState:
        """The state of all but the last token, once it is ready."""
        assert self.state is not None
        return self.state

    def compute(self, chunk: int) -> None:
        """Put at most `chunk` more tokens on their way; the device may still be at it on return."""
        state = self._begin() if self.state is None else self.state
        # A chunk ends where the head does, or its state could not be kept.
        border = self._head if self._at < self._head else len(self._tokens) - 1
        end = min(self._at + chunk, border)
        if end > self._at:
            self._weights(mx.array([self._tokens[self._at : end]]), cache=state)
            device.start(kv.arrays(state))
            self._at = end
            if end == self._head:
                self._prefixes.keep(self._key, state)

    def wait(self) -> None:
        """Until the device has computed what it was given."""
        if self.state is not None:
            mx.eval(kv.arrays(self.state))

    @property
    def _key(self) -> tuple[int, ...]:
        return tuple(self._tokens[: self._head])

    def _begin(self) -> kv.KvState:
        found = self._prefixes.get(self._key) if self._head else None
        if found is not None:
            self._at = self.cached = self._head
        self.state = found or kv.fresh(self._weights)
        return self.state
