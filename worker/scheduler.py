"""Who runs next. Pure: no model, no network, no clock, so that every rule can be tried in a line."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from worker.jobs import LANES, Job

UNLIMITED = 1_000_000

Fits = Callable[[Sequence[Job]], bool]


def _always(_: Sequence[Job]) -> bool:
    return True


class Scheduler:
    """Rows of the batch and the jobs that wait for them; each choice of a job takes a row.

    Chat is admitted before queued work at every step, and a job that waits for room lets nothing of a lower
    lane pass. `slots` rows serve any lane; `chat_slots` more are kept for chat, so that it never waits for an
    article to end. Prompts are let in no faster than they are computed, `prompts` of bulk work side by side:
    one that is let in cannot be overtaken any more. `fits` says whether these jobs may run together. A job
    with small `company` (one that may have killed a worker before) holds back later bulk work until it has
    run in that company.
    """

    def __init__(self, slots: int, chat_slots: int, prompts: int = UNLIMITED, fits: Fits = _always) -> None:
        self.slots = slots
        self.chat_slots = chat_slots
        self.prompts = prompts
        self._fits = fits
        self._waiting: dict[str, deque[Job]] = {lane: deque() for lane in LANES}
        self._running: dict[str, Job] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def jobs(self) -> list[Job]:
        """Those that run."""
        return list(self._running.values())

    @property
    def models(self) -> set[str]:
        """Those that have work, running or waiting."""
        jobs = [*self._running.values(), *(job for lane in self._waiting.values() for job in lane)]
        return {job.work.model for job in jobs}

    def add(self, job: Job) -> None:
        self._waiting[job.lane].append(job)

    def discard(self, job_id: str) -> None:
        """Forget a job, whether it waits, runs or has ended."""
        if self._running.pop(job_id, None) is not None:
            return
        for lane, jobs in self._waiting.items():
            self._waiting[lane] = deque(job for job in jobs if job.id != job_id)

    def defer(self, job: Job) -> None:
        """Take back one that was admitted and cannot start yet: it is the next of its lane."""
        del self._running[job.id]
        self._waiting[job.lane].appendleft(job)

    def admit(self, prompting: int = 0) -> Iterator[Job]:
        """Move every job that may start now from waiting to running, in order.

        `prompting` jobs still have their prompt computed.
        """
        room = self.prompts - prompting
        for lane in LANES:
            extra = self.chat_slots if lane == "chat" else 0
            for job in self._admit(lane, self.slots + extra, room + extra):
                room -= 1
                yield job
            if self._waiting[lane]:
                return

    def _admit(self, lane: str, rows: int, room: int) -> Iterator[Job]:
        jobs = self._waiting[lane]
        while jobs and room > 0 and self._may_start(jobs[0], rows):
            job = jobs.popleft()
            self._running[job.id] = job
            room -= 1
            yield job

    def _may_start(self, job: Job, rows: int) -> bool:
        together = [*self._running.values(), job]
        company = min(one.company for one in together)
        # A job of several choices may be the only one where it is more than its company.
        wide_enough = sum(one.work.choices for one in together) <= min(rows, company) or len(together) == 1
        return wide_enough and self._fits(together)
