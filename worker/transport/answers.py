"""An article's answer, at the least cost: known from before, shared with one who asks the same now, or computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from worker.engine.engine import Engine
from worker.fingerprint import fingerprint
from worker.flights import Flights
from worker.jobs import ANY_COMPANY, Done, Durations, Failed, Job, Text
from worker.transport.results import Results

# Raises ValueError for a text that is no answer.
Check = Callable[[str], object]

_NO_TIME = Durations(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """`done` is of the inference that made it; for a cached one it took no time, whatever it once took."""

    text: str
    done: Done
    cached: bool = False


class Answers:
    """Asks the engine only for what nobody has asked before, as far as answers repeat."""

    def __init__(self, engine: Engine, results: Results) -> None:
        self._engine = engine
        self._results = results
        self._flights: Flights[Answer] = Flights()

    async def get(self, job: Job, check: Check, *, fresh: bool = False) -> Answer:
        """`fresh` computes it anew. Raises LlmError as the engine does; `check` decides only what is kept."""
        key = fingerprint(job.work, self._engine.catalog.find(job.work.model).identity)
        if key is None:
            return await self._infer(job)
        if job.company < ANY_COMPANY:
            # It may kill the worker: nobody's fate hangs on it, nor its own on another's.
            return await self._obtain(key, job, check, fresh)
        # Reading and keeping belong to the flight: who comes a moment later finds one or the other.
        answer, shared = await self._flights.share((key, fresh), lambda: self._obtain(key, job, check, fresh))
        return _repeated(answer) if shared else answer

    async def _obtain(self, key: str, job: Job, check: Check, fresh: bool) -> Answer:
        if not fresh and (known := await self._known(key, check)) is not None:
            return known
        answer = await self._infer(job)
        if answer.done.finish == "stop" and _passes(answer.text, check):
            await self._results.put(key, answer.text, answer.done.usage)
        return answer

    async def _known(self, key: str, check: Check) -> Answer | None:
        entry = await self._results.get(key)
        if entry is None or not _passes(entry.text, check):
            return None
        return Answer(entry.text, Done("stop", entry.usage, _NO_TIME), cached=True)

    async def _infer(self, job: Job) -> Answer:
        parts: list[str] = []
        async with self._engine.run(job) as run:
            while True:
                match await run.next():
                    case Text(text):
                        parts.append(text)
                    case Failed(error):
                        raise error
                    case Done() as done:
                        return Answer("".join(parts), done)


def _repeated(answer: Answer) -> Answer:
    return Answer(answer.text, replace(answer.done, durations=_NO_TIME), cached=True)


def _passes(text: str, check: Check) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True
