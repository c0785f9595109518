"""The rows that are decoded together: one forward pass gives every one of them its next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import mlx.core as mx

from worker.engine import device, kv, sampling
from worker.engine.grammar import Masks
from worker.engine.logprobs import Logprobs
from worker.engine.prefix import Prefixes
from worker.engine.row import Row
from worker.jobs import Event

_NONE = mx.array([], dtype=mx.uint32)


@dataclass(frozen=True, slots=True)
class Held:
    """Rows that are not in the batch now, each with its state and the token that is to be computed next."""

    rows: list[Row]
    states: list[kv.KvState]
    tokens: mx.array

    @property
    def nbytes(self) -> int:
        return sum(map(kv.nbytes, self.states))


class Decoder:
    """Rows join and leave between two steps.

    A step shows what the one before has drawn while the forward pass of just these tokens is on its way: text,
    grammars and penalties are done by the time its logits are there.
    """

    def __init__(self, weights: Any, masks: Masks, logprobs: Logprobs, prefixes: Prefixes) -> None:
        self._weights = weights
        self._prefixes = prefixes
        self._masks = masks
        self._logprobs = logprobs
        self._state: kv.KvState = []
        self._tokens = _NONE
        self.rows: list[Row] = []

    def join(self, held: Held) -> None:
        """Take in rows; their states are copied."""
        joining = kv.merged(held.states)
        self._state = kv.extended(self._state, joining) if self.rows else joining
        self._tokens = mx.concatenate([self._tokens, held.tokens])
        self.rows.extend(held.rows)

    def hold(self, job_id: str) -> Held:
        """Take a job's rows out, to join again later as if nothing had been."""
        rows = [at for at, row in enumerate(self.rows) if row.job.id == job_id]
        held = Held(
            [self.rows[at] for at in rows],
            [kv.extracted(self._state, at) for at in rows],
            self._tokens[mx.array(rows)],
        )
        # Slices of the batch would keep all of it in memory.
        mx.eval([kv.arrays(state) for state in held.states], held.tokens)
        self._drop(set(rows))
        return held

    def leave(self, job_id: str) -> None:
        """Drop a job's rows."""
        leaving = {at: row for at, row in enumerate(self.rows) if row.job.id == job_id}
        for row in leaving.values():
            self._logprobs.take(row)
        self._drop(set(leaving))

    def step(self) -> list[tuple[str, Event]]:
        """Show the tokens of the last step, and draw the next ones. Returns what there is to tell, by job."""
        logits = self._weights(self._tokens[:, None], cache=self._state)[:, -1, :]
        device.start(logits)
        events = self._show()
        self._remember()
        keep = [at for at, row in enumerate(self.rows) if not row.ended]
        if len(keep) < len(self.rows):
            logits = logits[mx.array(keep)] if keep else logits
            self._keep(keep)
        self._tokens = self._draw(logits) if keep else _NONE
        return events

    def _show(self) -> list[tuple[str, Event]]:
        tokens = cast(list[int], self._tokens.tolist())
        return [
            (row.job.id, event)
            for row, token in zip(self.rows, tokens, strict=True)
            for event in row.take(token, self._logprobs.take(row))
        ]

    def _remember(self) -> None:
        """A conversation goes on from its last answer."""
        for at, row in enumerate(self.rows):
            if row.ended and row.may_go_on:
                self._prefixes.keep(row.context, kv.extracted(self._state, at))

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

    def _drop(self, gone: set[int]) -> None:
        keep = [at for at in range(len(self.rows)) if at not in gone]
        if gone:
            self._tokens = self._tokens[mx.array(keep)] if keep else _NONE
            self._keep(keep)

    def _keep(self, keep: list[int]) -> None:
        self.rows = [self.rows[at] for at in keep]
        if not keep:
            self._state = []
            return
        which = mx.array(keep)
        for layer in self._state:
            layer.filter(which)
