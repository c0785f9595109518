"""One shape for a chat request and a queued article, and the events that travel back from the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from schemas.chat import ChatRequest
from schemas.completion import Finish, TokenLogprob, Usage
from schemas.errors import LlmError
from schemas.text import TextRequest

Request = ChatRequest | TextRequest
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
class CallFormat:
    """How a model writes a tool call: between `start` and `end` (which may be empty: the answer's end).

    `parse` turns what stands between them into `{"name", "arguments"}` or a list of such; None means that it is
    JSON of just this form, whose arguments can be shown while they grow.
    """

    start: str
    end: str
    parse: Callable[[str], Any] | None = None


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How the text of an answer is told apart: what is thought, what is said, what is called."""

    think: tuple[str, str] | None = None  # the marks around thoughts
    thinking: bool = False  # the prompt ends inside thoughts
    calls: CallFormat | None = None
    stops: tuple[str, ...] = ()
    calls_only: bool = False  # whatever is no call is a call that was cut
    goes_on: bool = False  # with the text of the prompt: a blank at its beginning is part of it


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request made ready away from the engine's thread: prompt and limits in tokens, grammar compiled.

    `grammar` is a grammar of llguidance, `grammar_of` the field that it comes from. `alternatives` is None
    when no logprobs are wanted.
    """

    model: str
    prompt: list[int]
    max_tokens: int
    sampling: Sampling
    form: AnswerForm = AnswerForm()
    grammar: str | None = None
    grammar_of: str = "response_format"
    choices: int = 1
    alternatives: int | None = None
    head: int = 0  # so many tokens of the prompt begin other prompts too
    pinned: bool = False  # and will for long: their state outlives what is used more

    @property
    def width(self) -> int:
        """Tokens of KV state that each of its rows may come to hold."""
        return len(self.prompt) + self.max_tokens


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

    @property
    def total(self) -> float:
        return self.queued + self.prefill + self.decode


@dataclass(frozen=True, slots=True)
class Text:
    """More of an answer: whole characters, nothing of a stop string. `logprobs` are of its tokens."""

    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Thought:
    """More of what the model thinks before it answers."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call begins; `index` counts the calls of one choice."""

    id: str
    name: str
    index: int = 0
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Arguments:
    """More of a call's arguments, which are JSON as text."""

    text: str
    index: int = 0
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """One choice is complete."""

    finish: Finish
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """All choices are complete; `finish` is the first one's."""

    finish: Finish
    usage: Usage
    durations: Durations


@dataclass(frozen=True, slots=True)
class Failed:
    """There will be no (more) answer."""

    error: LlmError


Piece = Text | Thought | Call | Arguments
End = Done | Failed
Event = Piece | Ended | End
