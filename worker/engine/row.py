"""One answer in the making: each token that is drawn for it becomes events, until something ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.completion import CompletionTokensDetails, Finish, PromptTokensDetails, TokenLogprob, Usage
from schemas.errors import LlmError
from worker.engine.counters import Counters
from worker.engine.grammar import Guide
from worker.engine.sampling import Draw
from worker.engine.text import Transcript
from worker.jobs import Done, Durations, Ended, Event, Failed, Job


@dataclass(slots=True, eq=False)
class Tally:
    """What the choices of one job have used up; times are of the monotonic clock, in seconds."""

    job: Job
    submitted: float
    counters: Counters
    admitted: float = field(default_factory=time.monotonic)
    first_token: float = 0.0
    cached: int = 0
    tokens: int = 0
    thoughts: int = 0
    finishes: dict[int, Finish] = field(default_factory=dict)

    def begin(self) -> None:
        """The first token of any choice is there."""
        if not self.first_token:
            self.first_token = time.monotonic()
            self.counters.first_token[self.job.lane].add(self.first_token - self.submitted)

    def count(self) -> None:
        """A token is shown."""
        self.tokens += 1
        self.counters.decode_tokens += 1

    def end(self, choice: int, finish: Finish) -> Iterator[Event]:
        self.finishes[choice] = finish
        yield Ended(finish, choice)
        if len(self.finishes) == self.job.work.choices:
            yield Done(self.finishes[0], self._usage(), self._durations())

    def _usage(self) -> Usage:
        prompt = len(self.job.work.prompt)
        return Usage(
            prompt,
            self.tokens,
            prompt + self.tokens,
            PromptTokensDetails(self.cached),
            CompletionTokensDetails(self.thoughts),
        )

    def _durations(self) -> Durations:
        now = time.monotonic()
        return Durations(
            queued=self.admitted - self.submitted,
            prefill=self.first_token - self.admitted,
            decode=now - self.first_token,
        )


class Row:
    """A row of the batch: one of its job's choices."""

    def __init__(
        self,
        tally: Tally,
        choice: int,
        draw: Draw,
        transcript: Transcript,
        guide: Guide | None,
        eos: frozenset[int],
    ) -> None:
        self.job = tally.job
        self.draw = draw
        self.guide = guide
        self.alternatives = tally.job.work.alternatives
        self.ended = False
        self._tally = tally
        self._choice = choice
        self._transcript = transcript
        self._eos = eos
        self._room = tally.job.work.max_tokens
        self._answer: list[int] = []
        self._watch_thoughts()

    @property
    def may_go_on(self) -> bool:
        """A conversation comes back with this answer; an article does not."""
        return self.job.lane == "chat" and self._choice == 0

    @property
    def width(self) -> int:
        """Tokens of its context."""
        return len(self.job.work.prompt) + len(self._answer)

    @property
    def context(self) -> list[int]:
        """The prompt, and all tokens that were shown."""
        return self.job.work.prompt + self._answer

    def take(self, token: int, logprob: TokenLogprob | None) -> Iterator[Event]:
        """Show a token that was drawn."""
        self._answer.append(token)
        self._tally.begin()
        if token in self._eos:
            if self.guide is not None and self.guide.cut is not None:
                yield from self._fail(self.guide.cut)
                return
            # The token that ends the turn is neither shown nor counted, as OpenAI does it.
            yield from self._end("stop")
            return
        self._count(token)
        if self.guide is not None and self.guide.broken is not None:
            yield from self._fail(self.guide.broken)
            return
        yield from self._transcript.push(token, logprob)
        self._watch_thoughts()
        if self._transcript.stopped or (self.guide is not None and self.guide.complete):
            yield from self._end("stop")
        elif self._room == 0:
            yield from self._end("length")

    def _count(self, token: int) -> None:
        self._room -= 1
        self._tally.count()
        self.draw.take(token)
        if self.guide is not None:
            self.guide.take(token)

    def _watch_thoughts(self) -> None:
        if self.guide is not None:
            self.guide.waiting = self._transcript.thinking

    def _fail(self, error: LlmError) -> Iterator[Event]:
        self.ended = True
        yield Failed(error)

    def _end(self, finish: Finish) -> Iterator[Event]:
        self.ended = True
        yield from self._transcript.end()
        if self._transcript.stopped:
            finish = "stop"  # what was held back may have completed it
        self._tally.thoughts += self._transcript.thoughts
        called = finish == "stop" and self._transcript.called
        yield from self._tally.end(self._choice, "tool_calls" if called else finish)
