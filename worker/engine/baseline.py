"""mlx_lm's own BatchGenerator on the same prompts: what `nats-mlx bench` measures the worker against."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator

from worker.engine import kv, weights
from worker.engine.catalog import Entry


class Baseline:
    """A model's weights and nothing around them: as a script would use them that has all prompts at hand."""

    def __init__(self, entry: Entry, trust_remote_code: bool) -> None:
        self._net = weights.load(entry, trust_remote_code).net

    def run(self, prompts: Sequence[list[int]], tokens: Sequence[int], rows: int, shared: int) -> int:
        """`tokens[i]` new tokens for the i-th prompt, whatever they are; returns how many were made.

        `shared` tokens of all prompts are computed once, and each row begins with a copy of their state.
        Everything else is the library's default.
        """
        # No stop tokens: each answer gets as long as it is told.
        generator: Any = BatchGenerator(self._net, completion_batch_size=rows)
        head = self._head(generator, prompts[0][:shared]) if shared else None
        waiting = deque(zip(prompts, tokens, strict=True))
        running = made = 0
        while waiting or running:
            # So many that it is never short of prompts; a state for each of them all would fill the memory.
            while waiting and running < 2 * rows:
                prompt, limit = waiting.popleft()
                generator.insert([prompt[shared:]], [limit], [kv.copied(head)] if head else None)
                running += 1
            _, responses = generator.next()
            made += len(responses)
            running -= sum(response.finish_reason is not None for response in responses)
        generator.close()
        return made

    def _head(self, generator: Any, tokens: list[int]) -> kv.KvState:
        state = kv.fresh(self._net)
        with mx.stream(generator.stream):
            self._net(mx.array([tokens]), cache=state)
            mx.eval(kv.arrays(state))
        return state
