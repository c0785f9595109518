"""How the next tokens are drawn: for all rows of the batch at once, each by its own settings."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import mlx.core as mx

from worker.jobs import Sampling

# Below this a temperature only overflows the division; it means greedy.
_COLDEST = 1e-4


class Draw:
    """What one row has drawn so far, and by which settings it draws on.

    The same `seed` and `choice` draw the same tokens in any company: the row has random numbers of its own.
    """

    def __init__(self, sampling: Sampling, prompt: Sequence[int], choice: int = 0) -> None:
        self.sampling = sampling
        self.greedy = sampling.temperature < _COLDEST
        self.cut = sampling.top_k > 0 or sampling.top_p < 1.0 or sampling.min_p > 0.0
        self._random = random.Random(None if sampling.seed is None else f"{sampling.seed}/{choice}")
        self._answer: Counter[int] = Counter()
        self._seen = set(prompt) if sampling.repetition_penalty != 1.0 else None

    def take(self, token: int) -> None:
        """Count a token of the answer."""
        self._answer[token] += 1
        if self._seen is not None:
            self._seen.add(token)

    def key(self) -> mx.array:
        return mx.random.key(self._random.getrandbits(64))

    def additions(self) -> list[tuple[int, float]]:
        """What is added to single logits: bias, and OpenAI's penalties of the answer's own tokens,
        `- count * frequency - (count > 0) * presence`.
        """
        wanted = self.sampling
        bias = list(wanted.logit_bias)
        if not (wanted.presence_penalty or wanted.frequency_penalty):
            return bias
        return bias + [
            (token, -count * wanted.frequency_penalty - wanted.presence_penalty)
            for token, count in self._answer.items()
        ]

    def repetitions(self) -> list[tuple[int, float]]:
        """By how much the logits of tokens of prompt and answer shrink, as in CTRL (arXiv 1909.05858)."""
        return [(token, self.sampling.repetition_penalty) for token in self._seen or ()]


def adjust(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
    """Apply every row's penalties and bias to `logits` [rows, vocabulary], in one update of each kind."""
    repeated = [(row, *change) for row, draw in enumerate(draws) for change in draw.repetitions()]
    if repeated:
        rows, tokens, factors = map(mx.array, zip(*repeated, strict=True))
        logits = mx.array(logits)  # an update in place would also change what the caller holds
        chosen = logits[rows, tokens]
        logits[rows, tokens] = mx.where(chosen < 0, chosen * factors, chosen / factors).astype(logits.dtype)
    added = [(row, *change) for row, draw in enumerate(draws) for change in draw.additions()]
    if added:
        rows, tokens, values = map(mx.array, zip(*added, strict=True))
        logits = logits.at[rows, tokens].add(values.astype(logits.dtype))
    return logits


def draw(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
    """The next tokens [rows] of `logits` [rows, vocabulary]."""
    tokens = mx.argmax(logits, axis=-1)
    for cut in (False, True):
        rows = [row for row, one in enumerate(draws) if not one.greedy and one.cut is cut]
        if rows:
            some = mx.array(rows)
            tokens[some] = _sample(logits[some], [draws[row] for row in rows], cut).astype(tokens.dtype)
    return tokens


def _sample(logits: mx.array, draws: Sequence[Draw], cut: bool) -> mx.array:
    """Adding Gumbel noise and taking the best draws by probability (Gumbel-max); -inf is never drawn."""
    logits = logits.astype(mx.float32) / _column(draws, "temperature")
    order = None
    if cut:
        order = mx.argsort(-logits, axis=-1)
        logits = _narrow(mx.take_along_axis(logits, order, axis=-1), draws)
    noise = mx.stack([mx.random.gumbel(logits.shape[-1:], key=one.key()) for one in draws])
    best = mx.argmax(logits + noise, axis=-1, keepdims=True)
    return (best if order is None else mx.take_along_axis(order, best, axis=-1))[:, 0]


def _narrow(ordered: mx.array, draws: Sequence[Draw]) -> mx.array:
    """Forbid what top_k, then top_p of the rest, then min_p leave out; the first is always left.

    `ordered` [rows, vocabulary] are logits from the best one down.
    """
    size = ordered.shape[-1]
    ranks = mx.arange(size)
    top_k = mx.array([[min(one.sampling.top_k or size, size)] for one in draws])
    chances = mx.softmax(mx.where(ranks < top_k, ordered, -mx.inf), axis=-1)
    before = mx.cumsum(chances, axis=-1) - chances
    kept = (before < _column(draws, "top_p")) & (chances >= _column(draws, "min_p") * chances[:, :1])
    return mx.where((kept & (chances > 0)) | (ranks == 0), ordered, -mx.inf)


def _column(draws: Sequence[Draw], name: str) -> mx.array:
    return mx.array([[getattr(one.sampling, name)] for one in draws], dtype=mx.float32)
