"""What the model itself thought of the tokens that were drawn, for the rows that asked for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from schemas.completion import TokenLogprob, TopLogprob
from worker.engine.row import Row

# JSON has no infinity; OpenAI's own value for "not at all likely".
_NEVER = -9999.0


class Logprobs:
    """Noted when the tokens are drawn, read when they are shown: they are computed in between.

    Of the model's own distribution: before temperature, penalties, bias and grammar.
    """

    def __init__(self, tokenizer: Any) -> None:
        """`tokenizer` is llguidance's: it knows the bytes of each token."""
        self._tokenizer = tokenizer
        self._noted: list[tuple[list[Row], list[mx.array]]] = []
        self._told: dict[Row, TokenLogprob] = {}

    def note(self, logits: mx.array, tokens: mx.array, rows: Sequence[Row]) -> list[mx.array]:
        """Remember what `tokens` [rows] were drawn from, `logits` [rows, vocabulary].

        Returns what is left to compute for it.
        """
        wanting = [at for at, row in enumerate(rows) if row.alternatives is not None]
        if not wanting:
            return []
        asked = [rows[at] for at in wanting]
        some = mx.array(wanting)
        logprobs = logits[some].astype(mx.float32)
        logprobs = logprobs - mx.logsumexp(logprobs, axis=-1, keepdims=True)
        chosen = tokens[some]
        most = max(row.alternatives or 0 for row in asked)
        top = mx.argsort(-logprobs, axis=-1)[:, :most]
        values = [
            chosen,
            mx.take_along_axis(logprobs, chosen[:, None], axis=-1)[:, 0],
            top,
            mx.take_along_axis(logprobs, top, axis=-1),
        ]
        self._noted.append((asked, values))
        return values

    def take(self, row: Row) -> TokenLogprob | None:
        """What was noted with a row's last token. A row that was set aside comes for it later."""
        for rows, values in self._noted:
            self._told |= self._read(rows, values)
        self._noted.clear()
        return self._told.pop(row, None)

    def _read(self, rows: list[Row], values: list[mx.array]) -> dict[Row, TokenLogprob]:
        columns: list[Any] = [value.tolist() for value in values]
        return {
            row: self._entry(token, logprob, top[: row.alternatives], others)
            for row, token, logprob, top, others in zip(rows, *columns, strict=True)
        }

    def _entry(self, token: int, logprob: float, top: list[int], values: list[float]) -> TokenLogprob:
        likely = [self._token(which, value) for which, value in zip(top, values, strict=False)]
        chosen = self._token(token, logprob)
        return TokenLogprob(chosen.token, chosen.logprob, chosen.bytes, likely)

    def _token(self, token: int, logprob: float) -> TopLogprob:
        raw: bytes = self._tokenizer.decode_bytes([token])
        value = logprob if math.isfinite(logprob) else _NEVER
        return TopLogprob(raw.decode("utf-8", "replace"), value, list(raw))
