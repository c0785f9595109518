"""Who runs next. Pure: no model, no network, no clock, so that every rule can be tried in a line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from worker.jobs import LANES, Job

UNLIMITED = 1_000_000


class Scheduler:
    """Rows of the batch and the jobs that wait for one.

    Chat is admitted before queued work at every step. `slots` rows serve any lane; `chat_slots` more are
    kept for chat, so that it never waits for an article to end. Prompts are let in no faster than they are
    computed, `prompts` of bulk work side by side: one that is let in cannot be overtaken any more. A job
    with small `company` (one that may have killed a worker before) holds back later bulk work until it has
    run in that company.
    """

    def __init__(self, slots: int, chat_slots: int, prompts: int = UNLIMITED) -> None:
        self.slots = slots
        self.chat_slots = chat_slots
        self.prompts = prompts
        self._waiting: dict[str, deque[Job]] = {lane: deque() for lane in LANES}
        self._running: dict[str, Job] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, job: Job) -> None:
        self._waiting[job.lane].append(job)

    def discard(self, job_id: str) -> None:
        """Forget a job, whether it waits, runs or has ended."""
        if self._running.pop(job_id, None) is not None:
            return
        for lane, jobs in self._waiting.items():
            self._waiting[lane] = deque(job for job in jobs if job.id != job_id)

    def admit(self, prompting: int = 0) -> Iterator[Job]:
        """Move every job that may start now from waiting to running, in order.

        `prompting` rows still have their prompt computed.
        """
        room = self.prompts - prompting
        for lane in LANES:
            extra = self.chat_slots if lane == "chat" else 0
            for job in self._admit(lane, self.slots + extra, room + extra):
                room -= 1
                yield job
            if lane != "chat" and self._waiting[lane]:
                return

    def _admit(self, lane: str, rows: int, room: int) -> Iterator[Job]:
        jobs = self._waiting[lane]
        while jobs and room > 0 and len(self._running) < min(rows, self._company(jobs[0])):
            job = jobs.popleft()
            self._running[job.id] = job
            room -= 1
            yield job

    def _company(self, job: Job) -> int:
        """How many rows there may be when this job joins."""
        return min([job.company, *(row.company for row in self._running.values())])
