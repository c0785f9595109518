"""All that is under way in one model: prompts on their way into KV state, and rows that are decoded."""

from __future__ import annotations

from dataclasses import dataclass

from worker.engine.decode import Decoder
from worker.engine.grammar import Masks
from worker.engine.logprobs import Logprobs
from worker.engine.model import Model
from worker.engine.prefill import Prompt
from worker.engine.prefix import Prefixes
from worker.engine.row import Row, Tally
from worker.engine.sampling import Draw
from worker.engine.text import Transcript
from worker.engine.weights import Weights
from worker.jobs import LANES, Event, Failed, Job


@dataclass(slots=True)
class _Pending:
    prompt: Prompt
    rows: list[Row]
    tally: Tally


class Batch:
    """Continuous batching: jobs join and leave between two steps. Belongs to the engine's thread."""

    def __init__(self, model: Model, weights: Weights, prefill_chunk: int, prefix_bytes: int) -> None:
        self._model = model
        self._weights = weights
        self._chunk = prefill_chunk
        self._prefixes = Prefixes(prefix_bytes)
        self._prompts: dict[str, _Pending] = {}
        self._decoder = Decoder(weights.net, Masks(model.grammars), Logprobs(model.grammars.tokenizer))

    @property
    def prompting(self) -> int:
        """Jobs whose prompt is not computed yet."""
        return len(self._prompts)

    @property
    def jobs(self) -> set[str]:
        return {*self._prompts, *(row.job.id for row in self._decoder.rows)}

    def insert(self, job: Job, submitted: float) -> None:
        tally = Tally(job, submitted)
        rows = [self._row(tally, choice) for choice in range(job.work.choices)]
        prompt = Prompt(job.work, self._weights.net, self._prefixes)
        self._prompts[job.id] = _Pending(prompt, rows, tally)

    def _row(self, tally: Tally, choice: int) -> Row:
        work, model = tally.job.work, self._model
        return Row(
            tally,
            choice,
            Draw(work.sampling, work.prompt, choice),
            Transcript(model.tokenizer.detokenizer, work.form, choice),
            model.grammars.guide(work.grammar, work.grammar_of) if work.grammar else None,
            model.eos,
        )

    def remove(self, job_id: str) -> None:
        self._prompts.pop(job_id, None)
        self._decoder.leave({job_id})

    def step(self) -> list[tuple[str, Event]]:
        """One decode step of all rows and one chunk of one prompt. Returns what it made, by job id."""
        decoding = bool(self._decoder.rows)
        events = self._decoder.step() if decoding else []
        # The other choices of a job that has failed have nobody to tell.
        self._decoder.leave({job_id for job_id, event in events if isinstance(event, Failed)})
        if self._prompts:
            self._prefill(alone=not decoding)
        return events

    def _prefill(self, alone: bool) -> None:
        pending = min(self._prompts.values(), key=lambda one: LANES.index(one.tally.job.lane))
        if alone:
            # Nothing else waits for the device here: without this, cancelling would come too late.
            pending.prompt.wait()
        pending.prompt.compute(self._chunk)
        if pending.prompt.ready:
            job = pending.tally.job
            del self._prompts[job.id]
            pending.tally.cached = pending.prompt.cached
            self._decoder.join(pending.rows, pending.prompt.take(), job.work.prompt[-1])
