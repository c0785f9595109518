"""An answer to a request, at the least cost: shared with one who asks the same now, known from before, or computed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from msgspec.structs import replace

from schemas.completion import PromptTokensDetails, Usage
from worker.engine.engine import Engine
from worker.engine.run import Run
from worker.fingerprint import fingerprint
from worker.jobs import ANY_COMPANY, Done, Durations, Ended, Event, Failed, Job, Prepared, Text
from worker.joined import joined
from worker.shared import Emit, SharedRuns
from worker.transport.results import Results


class Runs:
    """Asks the engine only for what nobody asks at the same time. Without `results` nothing outlives its run."""

    def __init__(self, engine: Engine, results: Results | None) -> None:
        self._engine = engine
        self._results = results
        self._shared = SharedRuns()

    @asynccontextmanager
    async def run_all(self, jobs: Sequence[Job]) -> AsyncIterator[Run]:
        """One answer made of these."""
        async with AsyncExitStack() as stack:
            runs = [await stack.enter_async_context(self.run(job)) for job in jobs]
            yield await stack.enter_async_context(joined(runs))

    def run(self, job: Job) -> AbstractAsyncContextManager[Run]:
        """As the engine's own: leaving early cancels it, unless others read it, too."""
        key = fingerprint(job.work, self._engine.catalog.find(job.work.model).identity)
        # One that may kill the worker: nobody's fate hangs on it, nor its own on another's.
        if key is None or job.company < ANY_COMPANY:
            return self._engine.run(job)
        return self._shared.run(key, job, partial(self._obtain, key, job))

    async def _obtain(self, key: str, job: Job, emit: Emit) -> None:
        """Reading and keeping belong to the run: who comes a moment later finds one or the other."""
        if self._results is None or not _may_be_kept(job.work):
            await self._infer(job, emit)
            return
        entry = await self._results.get(key)
        if entry is not None and _is_whole(entry.usage):
            for event in _repeated(entry.text, entry.usage):
                emit(event)
            return
        events = await self._infer(job, emit)
        if (done := _plain_end(events)) is not None:
            text = "".join(event.text for event in events if isinstance(event, Text))
            await self._results.put(key, text, done.usage)

    async def _infer(self, job: Job, emit: Emit) -> list[Event]:
        events: list[Event] = []
        async with self._engine.run(job) as run:
            while not (events and isinstance(events[-1], Done | Failed)):
                if (event := await run.next()) is not None:
                    emit(event)
                    events.append(event)
        return events


def _may_be_kept(work: Prepared) -> bool:
    """Whether its answer may be one text and nothing else, which is all that the bucket's entries have room for."""
    return work.choices == 1 and work.alternatives is None


def _is_whole(usage: Usage) -> bool:
    """An article's entry has no place for what was thought before; a chat would miss it."""
    return usage.completion_tokens_details.reasoning_tokens == 0


def _plain_end(events: Sequence[Event]) -> Done | None:
    """The end of an answer that came to its natural end and is text alone, None of any other."""
    done = events[-1]
    plain = all(isinstance(event, Text | Ended | Done) for event in events)
    return (
        done if plain and isinstance(done, Done) and done.finish == "stop" and _is_whole(done.usage) else None
    )


def _repeated(text: str, usage: Usage) -> list[Event]:
    """Tokens as the inference counted them; nothing of the prompt was computed for this one."""
    usage = replace(usage, prompt_tokens_details=PromptTokensDetails(usage.prompt_tokens))
    return [Text(text), Ended("stop"), Done("stop", usage, Durations(0.0, 0.0, 0.0))]
