"""One shape for a chat request and a queued article, and the events that travel back from the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.chat import Usage
from schemas.errors import LlmError

JobLane = Literal["chat", "high", "norm"]
LANES: tuple[JobLane, ...] = ("chat", "high", "norm")

ANY_COMPANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; the defaults are those of OpenAI's API."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request made ready away from the engine's thread: prompt and limits in tokens, grammar compiled."""

    prompt: list[int]
    max_tokens: int
    sampling: Sampling
    grammar: str | None
    stops: tuple[str, ...]
    head: int = 0  # so many tokens of the prompt begin other prompts too


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the engine. `company` is the most rows that may be computed together with it, itself included."""

    id: str
    lane: JobLane
    work: Prepared
    company: int = ANY_COMPANY


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds a job spent in each phase."""

    queued: float
    prefill: float
    decode: float


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer: whole characters, nothing of a stop string."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete."""

    finish: Literal["stop", "length"]
    usage: Usage
    durations: Durations

    def fields(self) -> dict[str, int | float]:
        """What a log line says of it; seconds to the millisecond."""
        spent = self.durations
        return {
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "queued": round(spent.queued, 3),
            "prefill": round(spent.prefill, 3),
            "decode": round(spent.decode, 3),
        }


@dataclass(frozen=True, slots=True)
class Failed:
    """There will be no (more) answer."""

    error: LlmError


Event = Text | Done | Failed
