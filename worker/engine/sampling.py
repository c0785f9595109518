"""How a row's next token is drawn. Rows with equal settings share one sampler, so that they sample in one call."""

from __future__ import annotations

import functools
from collections.abc import Callable

import mlx.core as mx
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

from worker.jobs import Sampling

Sampler = Callable[[mx.array], mx.array]
Processor = Callable[[mx.array, mx.array], mx.array]

# Below this a temperature only overflows the division; it means greedy.
_COLDEST = 1e-4
# Below this rounding can leave no token at all in mlx_lm's cut, and then every token is as likely as any other.
_NARROWEST = 1e-3


def sampler(sampling: Sampling, vocabulary: int) -> Sampler:
    """Maps log-probabilities [rows, vocabulary] to tokens [rows]."""
    if sampling.temperature < _COLDEST or sampling.top_p < _NARROWEST:
        return _greedy
    top_k = sampling.top_k if sampling.top_k < vocabulary else 0
    if sampling.seed is None:
        return _shared(sampling.temperature, sampling.top_p, top_k, sampling.min_p)
    return _Seeded(sampling.seed, _narrow(sampling.temperature, sampling.top_p, top_k, sampling.min_p))


def _greedy(logprobs: mx.array) -> mx.array:
    return mx.argmax(logprobs, axis=-1)


@functools.lru_cache(maxsize=256)
def _shared(temperature: float, top_p: float, top_k: int, min_p: float) -> Sampler:
    narrow = _narrow(temperature, top_p, top_k, min_p)
    return lambda logprobs: mx.random.categorical(narrow(logprobs))


def _narrow(temperature: float, top_p: float, top_k: int, min_p: float) -> Sampler:
    """Temperature first, then the cuts, as OpenAI's API and most servers order them."""

    def narrow(logits: mx.array) -> mx.array:
        logits = logits * (1.0 / temperature)
        logits = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        if top_k > 0:
            logits = apply_top_k(logits, top_k)
        if top_p < 1.0:
            logits = apply_top_p(logits, top_p)
        if min_p > 0.0:
            logits = apply_min_p(logits, min_p)
        return logits

    return narrow


class _Seeded:
    """A row with a random key of its own: the same seed draws the same tokens in any company."""

    def __init__(self, seed: int, narrow: Sampler) -> None:
        self._key = mx.random.key(seed % 2**64)
        self._narrow = narrow

    def __call__(self, logprobs: mx.array) -> mx.array:
        self._key, key = mx.random.split(self._key)
        return mx.random.categorical(self._narrow(logprobs), key=key)


def processors(sampling: Sampling, prompt_tokens: int) -> list[Processor]:
    """What changes a row's logits [1, vocabulary] before sampling, given its tokens so far, the prompt's first."""
    found: list[Processor] = []
    if sampling.repetition_penalty != 1.0:
        found.append(_repetition(sampling.repetition_penalty))
    if sampling.presence_penalty or sampling.frequency_penalty:
        found.append(_penalty(sampling.presence_penalty, sampling.frequency_penalty, prompt_tokens))
    if sampling.logit_bias:
        found.append(_bias(sampling.logit_bias))
    return found


def _repetition(penalty: float) -> Processor:
    """Of prompt and answer, as in CTRL (https://arxiv.org/abs/1909.05858)."""

    def process(tokens: mx.array, logits: mx.array) -> mx.array:
        chosen = logits[:, tokens]
        logits[:, tokens] = mx.where(chosen < 0, chosen * penalty, chosen / penalty)
        return logits

    return process


def _penalty(presence: float, frequency: float, prompt_tokens: int) -> Processor:
    """Of the answer alone: OpenAI's formula, `logit - count * frequency - (count > 0) * presence`."""

    def process(tokens: mx.array, logits: mx.array) -> mx.array:
        answer = tokens[prompt_tokens:]
        if answer.size == 0:
            return logits
        counts = mx.zeros_like(logits[0]).at[answer].add(1.0)
        return logits - frequency * counts - presence * (counts > 0)

    return process


def _bias(bias: tuple[tuple[int, float], ...]) -> Processor:
    ids = mx.array([token for token, _ in bias])
    values = mx.array([value for _, value in bias])

    def process(_: mx.array, logits: mx.array) -> mx.array:
        return logits.at[:, ids].add(values)

    return process
