"""All that is under way in one model: prompts on their way into KV state, and rows that are decoded."""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass

from worker.engine.counters import Counters
from worker.engine.decode import Decoder, Held
from worker.engine.grammar import Masks
from worker.engine.logprobs import Logprobs
from worker.engine.model import Model
from worker.engine.pace import Pace
from worker.engine.prefill import Prompt
from worker.engine.prefix import Prefixes
from worker.engine.row import Row, Tally
from worker.engine.sampling import Draw
from worker.engine.shape import Shape
from worker.engine.text import Transcript
from worker.engine.weights import Weights
from worker.jobs import Event, Failed, Job


@dataclass(slots=True)
class _Pending:
    """A job whose prompt is not computed yet."""

    prompt: Prompt
    rows: list[Row]
    tally: Tally

    @property
    def chat(self) -> bool:
        return self.tally.job.lane == "chat"

    @property
    def widths(self) -> list[int]:
        return [self.prompt.width]

    @property
    def nbytes(self) -> int:
        return self.prompt.nbytes


class Batch:
    """Continuous batching: jobs join and leave between two steps. Belongs to the engine's thread."""

    def __init__(
        self,
        model: Model,
        weights: Weights,
        prefixes: Prefixes,
        shape: Shape,
        counters: Counters,
        pace: Pace,
    ) -> None:
        self._model = model
        self._weights = weights
        self._shape = shape
        self._counters = counters
        self._pace = pace
        self._prefixes = prefixes
        self._prompts: dict[str, _Pending] = {}
        self._aside: dict[str, _Pending | Held] = {}
        self._decoder = Decoder(
            weights.net,
            Masks(model.grammars),
            Logprobs(model.grammars.tokenizer),
            prefixes,
            shape.overlap,
        )
        self._computed = 0  # tokens of prompts since the last decode step
        self._overtaken = 0.0  # tokens that articles' prompts may have for those of chat's that went before
        self._decoded_at: float | None = None  # since there have been rows
        self._last: Prompt | None = None

    @property
    def prompting(self) -> int:
        """Articles whose prompt is not computed yet."""
        return sum(not pending.chat for pending in self._prompts.values())

    @property
    def busy(self) -> bool:
        return bool(self._prompts or self._decoder.rows)

    @property
    def awaited(self) -> bool:
        """Whether a chat waits for its first token."""
        return any(pending.chat for pending in self._prompts.values())

    @property
    def has_chat(self) -> bool:
        return self.awaited or any(row.job.lane == "chat" for row in self._decoder.rows)

    @property
    def jobs(self) -> set[str]:
        return {*self._prompts, *self._aside, *(row.job.id for row in self._decoder.rows)}

    def aside_bytes(self, returning: Container[str], leaving: Container[str]) -> int:
        """KV state of the jobs that wait for their return, but for those `returning`, and of those `leaving`, as
        soon as they wait too.
        """
        aside = [one for job_id, one in self._aside.items() if job_id not in returning]
        aside += [one for job_id, one in self._prompts.items() if job_id in leaving]
        widths = [width for one in aside for width in one.widths]
        widths += [row.width for row in self._decoder.rows if row.job.id in leaving]
        return sum(map(self._weights.cost.alone, widths))

    @property
    def nbytes(self) -> int:
        """KV state of all that is under way."""
        return self._decoder.nbytes + sum(
            one.nbytes for one in (*self._prompts.values(), *self._aside.values())
        )

    def insert(self, job: Job, submitted: float) -> None:
        """Begin a job, or go on with one that was set aside."""
        match self._aside.pop(job.id, None):
            case Held() as held:
                self._decoder.join(held)
            case _Pending() as pending:
                self._prompts[job.id] = pending
            case None:
                tally = Tally(job, submitted, self._counters)
                rows = [self._row(tally, choice) for choice in range(job.work.choices)]
                prompt = Prompt(job.work, self._weights.net, self._prefixes)
                self._prompts[job.id] = _Pending(prompt, rows, tally)

    def _row(self, tally: Tally, choice: int) -> Row:
        work, model = tally.job.work, self._model
        return Row(
            tally,
            choice,
            Draw(work.sampling, work.prompt, choice),
            Transcript(model.detokenizer(work.form), work.form, choice),
            model.grammars.guide(work.grammar, work.grammar_of) if work.grammar else None,
            model.eos,
        )

    def set_aside(self, job_id: str) -> None:
        """Make room: `insert` brings it back, and nothing is computed twice."""
        pending = self._prompts.pop(job_id, None)
        self._aside[job_id] = pending or self._decoder.hold(job_id)

    def remove(self, job_id: str) -> None:
        self._prompts.pop(job_id, None)
        self._aside.pop(job_id, None)
        self._decoder.leave(job_id)

    def step(self) -> list[tuple[str, Event]]:
        """A decode step of all rows if it is due, else a chunk of one prompt. Returns what it made, by job id."""
        started = time.monotonic()
        if self.has_chat:
            self._pace.heard()
        decoding = self._decode_is_due()
        events = self._decode() if decoding else self._prefill()
        self._counters.stepped("decode" if decoding else "prefill", time.monotonic() - started)
        # The other choices of a job that has failed have nobody to tell.
        for job_id in {job_id for job_id, event in events if isinstance(event, Failed)}:
            self._decoder.leave(job_id)
        return events

    def _decode_is_due(self) -> bool:
        """Readers wait for each token of a chat; articles are decoded once in a while, many at a time, and next to
        never while a chat waits for its first token.
        """
        rows = self._decoder.rows
        if not rows or not self._prompts:
            return bool(rows)
        if any(row.job.lane == "chat" for row in rows):
            return self._computed > 0
        share = self._shape.bulk_share if self.awaited else 1
        return self._computed * share >= self._shape.prefill_stretch

    def _decode(self) -> list[tuple[str, Event]]:
        lanes = [row.job.lane for row in self._decoder.rows]
        events = self._decoder.step()
        self._computed = 0
        now = time.monotonic()
        self._counters.decoded(lanes, None if self._decoded_at is None else now - self._decoded_at)
        self._decoded_at = now if self._decoder.rows else None
        return events

    def _prefill(self) -> list[tuple[str, Event]]:
        pending = self._next_prompt()
        if self._last is not None:
            # The device has one chunk before it, not more: whatever comes in would come too late.
            self._last.wait()
        self._last = pending.prompt
        computed = pending.prompt.compute(self._chunk(pending))
        self._computed += computed + pending.prompt.ready
        self._counters.prompt_tokens += computed + pending.prompt.ready
        self._keep_share(pending, computed)
        return self._begin(pending) if pending.prompt.ready else []

    def _chunk(self, pending: _Pending) -> int:
        """Articles take short steps while chat is live: it waits for one of them when it comes in."""
        short = not pending.chat and self._pace.live
        return self._shape.live_chunk if short else self._shape.prefill_chunk

    def _next_prompt(self) -> _Pending:
        """Chat first; an article has its turns after so much of it that its share is kept."""
        first = next(iter(self._prompts.values()))
        chat = next((one for one in self._prompts.values() if one.chat), first)
        bulk = next((one for one in self._prompts.values() if not one.chat), first)
        return bulk if self._overtaken >= self._shape.live_chunk else chat

    def _keep_share(self, pending: _Pending, computed: int) -> None:
        if not (self.awaited and self.prompting):
            self._overtaken = 0.0  # nobody overtakes anybody
            return
        share = self._shape.bulk_share
        self._overtaken += computed * share / (1 - share) if pending.chat else -computed

    def _begin(self, pending: _Pending) -> list[tuple[str, Event]]:
        del self._prompts[pending.tally.job.id]
        pending.tally.cached = pending.prompt.cached
        self._counters.began(pending.prompt.cached)
        if pending.chat:
            pending.prompt.remember()
        self._last = None
        return self._decoder.begin(pending.rows, *pending.prompt.end())
