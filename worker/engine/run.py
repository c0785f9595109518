"""The two things of the engine that the event loop holds in its hands: a job's events, and the counters."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from schemas.errors import LlmError
from worker.jobs import Done, Event, Failed, Job


@dataclass(slots=True)
class Counters:
    """Work done since the start; written by the engine's thread, read by anyone.

    `prompt_tokens` are those that were computed: what a prefix had ready is not among them.
    """

    prompt_tokens: int = 0
    decode_tokens: int = 0
    jobs: int = 0
    busy_seconds: float = 0.0
    steps: int = 0

    def copy(self) -> Counters:
        return replace(self)

    def count(self, done: Done) -> None:
        usage = done.usage
        self.prompt_tokens += usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens
        self.decode_tokens += usage.completion_tokens
        self.jobs += 1


class Run:
    """One job's events, as they come."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def fail(self, error: LlmError) -> None:
        """End it from outside: whoever reads the events sees this as the last."""
        self.events.put_nowait(Failed(error))

    async def next(self, patience: float | None = None) -> Event | None:
        """The next event, or None when none came within `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                return await self.events.get()
        except TimeoutError:
            return None
