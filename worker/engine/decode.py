"""The rows that are decoded together: one forward pass gives every one of them its next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import mlx.core as mx

from worker.engine import device, kv, sampling
from worker.engine.grammar import Masks
from worker.engine.logprobs import Logprobs
from worker.engine.row import Row
from worker.jobs import Event

_NONE = mx.array([], dtype=mx.uint32)


class Decoder:
    """Rows join and leave between two steps.

    A step shows what the one before has drawn while the forward pass of just these tokens is on its way: text,
    grammars and penalties are done by the time its logits are there.
    """

    def __init__(self, weights: Any, masks: Masks, logprobs: Logprobs) -> None:
        self._weights = weights
        self._masks = masks
        self._logprobs = logprobs
        self._state: kv.KvState = []
        self._tokens = _NONE
        self.rows: list[Row] = []

    def join(self, rows: Sequence[Row], state: kv.KvState, last: int) -> None:
        """Take in the choices of one prompt, each with a copy of its state; `last` is its last token."""
        joining = kv.merged([state] * len(rows))
        self._state = kv.extended(self._state, joining) if self.rows else joining
        self._tokens = mx.concatenate([self._tokens, mx.array([last] * len(rows), dtype=mx.uint32)])
        self.rows.extend(rows)

    def leave(self, job_ids: set[str]) -> None:
        """Drop the rows of these jobs."""
        keep = [at for at, row in enumerate(self.rows) if row.job.id not in job_ids]
        if len(keep) < len(self.rows):
            self._tokens = self._tokens[mx.array(keep)] if keep else _NONE
            self._keep(keep)

    def step(self) -> list[tuple[str, Event]]:
        """Show the tokens of the last step, and draw the next ones. Returns what there is to tell, by job."""
        logits = self._weights(self._tokens[:, None], cache=self._state)[:, -1, :]
        device.start(logits)
        events = self._show()
        keep = [at for at, row in enumerate(self.rows) if not row.ended]
        if len(keep) < len(self.rows):
            logits = logits[mx.array(keep)] if keep else logits
            self._keep(keep)
        self._tokens = self._draw(logits) if keep else _NONE
        return events

    def _show(self) -> list[tuple[str, Event]]:
        told = self._logprobs.read()
        tokens = cast(list[int], self._tokens.tolist())
        return [
            (row.job.id, event)
            for row, token in zip(self.rows, tokens, strict=True)
            for event in row.take(token, told.get(row))
        ]

    def _draw(self, logits: mx.array) -> mx.array:
        draws = [row.draw for row in self.rows]
        packed = self._masks.fill([row.guide for row in self.rows])
        shaped = sampling.adjust(logits, draws)
        if packed is not None:
            # The grammar comes last: no penalty or bias may revive a token that it forbids.
            shaped = self._masks.apply(packed, shaped)
        tokens = sampling.draw(shaped, draws)
        device.start(tokens, *self._logprobs.note(logits, tokens, self.rows))
        return tokens

    def _keep(self, keep: list[int]) -> None:
        self.rows = [self.rows[at] for at in keep]
        if not keep:
            self._state = []
            return
        which = mx.array(keep)
        for layer in self._state:
            layer.filter(which)
