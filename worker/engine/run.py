"""What the event loop holds of a job in its hands: its events, as they come."""

from __future__ import annotations

import asyncio

from schemas.errors import LlmError
from worker.jobs import Event, Failed, Job


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
