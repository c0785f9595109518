"""What mlx_lm answers for a prompt alone: the measure of all that the engine answers in company."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx_lm import load, stream_generate

_BROKEN = "\ufffd"


@dataclass(frozen=True)
class Alone:
    """The answer's tokens without the end of the turn, its text, and at each step by how much the best token led."""

    tokens: list[int]
    text: str
    leads: list[float]


class Reference:
    """The model as mlx_lm loads and runs it, with nothing of ours in between. Each prompt is computed once."""

    def __init__(self, folder: Path) -> None:
        # Without the configuration; its types say more than that.
        self._model, self.tokenizer = cast(tuple[Any, Any], load(str(folder)))
        self._known: dict[tuple[tuple[int, ...], int], Alone] = {}

    def alone(self, prompt: list[int], max_tokens: int) -> Alone:
        key = (tuple(prompt), max_tokens)
        if key not in self._known:
            self._known[key] = self._generate(prompt, max_tokens)
        return self._known[key]

    def _generate(self, prompt: list[int], max_tokens: int) -> Alone:
        tokens, leads, text = [], [], ""
        for response in stream_generate(self._model, self.tokenizer, prompt, max_tokens=max_tokens):
            text += response.text
            leads.append(_lead(response.logprobs))
            if response.finish_reason != "stop":
                tokens.append(response.token)
        # A character that the limit cuts in two is shown by mlx_lm as broken, by the engine not at all.
        return Alone(tokens, text.rstrip(_BROKEN), leads)

    def first_difference(self, expected: Alone, text: str) -> int:
        """The place of the first token that is another one, as far as the text tells."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        pairs = zip(expected.tokens, found, strict=False)
        same = min(len(expected.tokens), len(found))
        return next((at for at, (one, other) in enumerate(pairs) if one != other), same)


def _lead(logprobs: mx.array) -> float:
    second, best = cast(list[float], mx.sort(logprobs)[-2:].tolist())
    return best - second
