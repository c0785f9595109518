"""The rows that are computed together: mlx_lm's BatchGenerator with a transcript and a stopwatch per row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlx_lm.generate import BatchGenerator, GenerationBatch

from schemas.chat import PromptTokensDetails, Usage
from worker.engine.grammar import Guide, unsupported
from worker.engine.model import Model
from worker.engine.prefix import Prefixes
from worker.engine.sampling import processors, sampler
from worker.engine.text import Transcript
from worker.jobs import Done, Durations, Event, Failed, Job, Text


@dataclass(slots=True)
class Row:
    """A job in the batch; times are of the monotonic clock, in seconds."""

    job: Job
    transcript: Transcript
    guide: Guide | None
    submitted: float
    admitted: float = field(default_factory=time.monotonic)
    first_token: float = 0.0
    tokens: int = 0

    @property
    def broken(self) -> str | None:
        return self.guide.broken if self.guide is not None else None

    @property
    def over(self) -> bool:
        return self.broken is not None or self.transcript.stopped

    def done(self, finish: str) -> Done:
        now = time.monotonic()
        prompt = len(self.job.work.prompt)
        return Done(
            finish="length" if finish == "length" else "stop",
            usage=Usage(prompt, self.tokens, prompt + self.tokens, PromptTokensDetails(self.job.work.head)),
            durations=Durations(
                queued=self.admitted - self.submitted,
                prefill=self.first_token - self.admitted,
                decode=now - self.first_token,
            ),
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """How wide the batch is, and how much of the prompts is computed between two decode steps."""

    rows: int
    prefill_rows: int
    prefill_chunk: int
    prefix_bytes: int
    wired_limit: bool


class Batch:
    """Continuous batching: rows join and leave between two steps. Belongs to the engine's thread."""

    def __init__(self, model: Model, shape: Shape) -> None:
        self._model = model
        self._rows: dict[int, Row] = {}
        self._prompting: set[int] = set()
        self._prefixes = Prefixes(model.weights, shape.prefill_chunk, shape.prefix_bytes)
        self._generator = BatchGenerator(
            model.weights,
            stop_tokens=[[token] for token in model.eos],
            completion_batch_size=shape.rows,
            # Who may join is decided before, by the scheduler; here there is room for all that it lets in.
            prefill_batch_size=shape.rows,
            prefill_step_size=shape.prefill_chunk,
        )
        if not shape.wired_limit:
            # The generator raises the limit by itself; close() puts the old one back and nothing else.
            self._generator.close()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def prompting(self) -> int:
        """Rows whose prompt is not computed yet."""
        return len(self._prompting)

    @property
    def jobs(self) -> list[str]:
        return [row.job.id for row in self._rows.values()]

    def insert(self, job: Job, submitted: float) -> None:
        work = job.work
        guide = self._model.grammars.guide(work.grammar) if work.grammar else None
        head = tuple(work.prompt[: work.head])
        [uid] = self._generator.insert(
            [work.prompt[work.head :]],
            [work.max_tokens],
            caches=[self._prefixes.get(head)] if head else None,
            all_tokens=[list(head)],
            samplers=[sampler(work.sampling, self._model.vocabulary)],
            # The grammar comes last: no penalty or bias may revive a token that it forbids.
            logits_processors=[[*processors(work.sampling, len(work.prompt)), *([guide] if guide else [])]],
        )
        self._prompting.add(uid)
        self._rows[uid] = Row(
            job, Transcript(self._model.tokenizer.detokenizer, work.stops), guide, submitted
        )

    def remove(self, job_id: str) -> None:
        self._drop([uid for uid, row in self._rows.items() if row.job.id == job_id])

    def _drop(self, uids: list[int]) -> None:
        for uid in uids:
            del self._rows[uid]
            self._prompting.discard(uid)
        if uids:
            self._generator.remove(uids)

    def step(self) -> list[tuple[str, Event]]:
        """One decode step of all rows and one chunk of prompts. Returns what it made, by job id."""
        prompts, responses = self._generator.next()
        # The last token of a prompt is computed with the first decode step.
        self._prompting -= {p.uid for p in prompts if p.progress[0] >= p.progress[1] - 1}
        events = [(self._rows[r.uid].job.id, event) for r in responses for event in self._events(r)]
        ended = {r.uid for r in responses if r.finish_reason is not None}
        for uid in ended:
            del self._rows[uid]
        self._drop([uid for uid, row in self._rows.items() if row.over])
        return events

    def _events(self, response: GenerationBatch.Response) -> Iterator[Event]:
        row = self._rows[response.uid]
        if row.broken is not None:
            yield Failed(unsupported(row.broken))
            return
        row.first_token = row.first_token or time.monotonic()
        text = ""
        # The token that ends the turn is neither shown nor counted, as OpenAI does it.
        if response.finish_reason != "stop":
            row.tokens += 1
            text = row.transcript.push(response.token)
        if response.finish_reason and not row.transcript.stopped:
            text += row.transcript.end()
        if text:
            yield Text(text)
        if response.finish_reason or row.transcript.stopped:
            yield row.done("stop" if row.transcript.stopped else response.finish_reason or "stop")

    def close(self) -> None:
        self._rows.clear()
        self._prompting.clear()
        self._generator.close()
