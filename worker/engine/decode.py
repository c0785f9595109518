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
    def widths(self) -> list[int]:
        return [row.width for row in self.rows]

    @property
    def nbytes(self) -> int:
        return sum(map(kv.nbytes, self.states))


class Decoder:
    """Rows join and leave between two steps.

    To show a token is to make text of it and to move the row's grammar and penalties on. With `overlap`, a token
    is shown while the forward pass of just this token is on its way, and the device never waits for Python;
    without it nothing is gained by that, and a token is shown as soon as it is drawn.
    """

    def __init__(
        self, weights: Any, masks: Masks, logprobs: Logprobs, prefixes: Prefixes, overlap: bool
    ) -> None:
        self._weights = weights
        self._prefixes = prefixes
        self._masks = masks
        self._logprobs = logprobs
        self._overlap = overlap
        self._state: kv.KvState = []
        self._tokens = _NONE
        self.rows: list[Row] = []

    @property
    def nbytes(self) -> int:
        return kv.nbytes(self._state)

    def begin(self, rows: list[Row], state: kv.KvState, logits: mx.array) -> list[tuple[str, Event]]:
        """Take in a job's rows with the `state` of its whole prompt, and draw their first tokens from `logits`
        [1, vocabulary]. Returns what there is to tell.
        """
        tokens = self._draw(mx.repeat(logits, len(rows), axis=0), rows)
        self.join(Held(rows, [state] * len(rows), tokens))
        return [] if self._overlap else self._show(len(self.rows) - len(rows))

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
        """Give every row its next token. Returns what there is to tell, by job."""
        logits = self._weights(self._tokens[:, None], cache=self._state)[:, -1, :]
        device.start(logits)
        if not self._overlap:
            self._tokens = self._draw(logits, self.rows)
            return self._show()
        rows = self.rows
        events = self._show()
        if keep := [at for at, row in enumerate(rows) if not row.ended]:
            self._tokens = self._draw(logits[mx.array(keep)] if len(keep) < len(rows) else logits, self.rows)
        return events

    def _show(self, first: int = 0) -> list[tuple[str, Event]]:
        """Tell of the tokens of all rows from the `first` on, and drop those that end with them."""
        tokens = cast(list[int], self._tokens[first:].tolist())
        events = [
            (row.job.id, event)
            for row, token in zip(self.rows[first:], tokens, strict=True)
            for event in row.take(token, self._logprobs.take(row))
        ]
        self._remember()
        self._drop({at for at, row in enumerate(self.rows) if row.ended})
        return events

    def _remember(self) -> None:
        """A conversation goes on from its last answer."""
        for at, row in enumerate(self.rows):
            if row.ended and row.may_go_on:
                # The last token is in the state only where it was shown after its forward pass had begun.
                known = row.context if self._overlap else row.context[:-1]
                state = kv.extracted(self._state, at)
                # Until it is computed, it is a slice that keeps the state of the whole batch in memory.
                device.start(kv.arrays(state))
                self._prefixes.keep(row.job.work.model, known, state)

    def _draw(self, logits: mx.array, rows: list[Row]) -> mx.array:
        draws = [row.draw for row in rows]
        packed = self._masks.fill([row.guide for row in rows])
        shaped = sampling.adjust(logits, draws)
        if packed is not None:
            # The grammar comes last: no penalty or bias may revive a token that it forbids.
            shaped = self._masks.apply(packed, shaped)
        tokens = sampling.draw(shaped, draws)
        device.start(tokens, *self._logprobs.note(logits, tokens, rows))
        return tokens

    def _drop(self, gone: set[int]) -> None:
        if not gone:
            return
        keep = [at for at in range(len(self.rows)) if at not in gone]
        self.rows = [self.rows[at] for at in keep]
        if not keep:
            self._state, self._tokens = [], _NONE
            return
        self._tokens = self._tokens[mx.array(keep)]
        self._state = kv.filtered(self._state, keep)
