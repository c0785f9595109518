"""Who runs next. Pure: no model, no network, no clock, so that every rule can be tried in a line."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from worker.jobs import LANES, Job

UNLIMITED = 1_000_000
_BULK = LANES[1:]  # those of queued work

# Whether the first may run together when the others have been set aside.
Fits = Callable[[Sequence[Job], Sequence[Job]], bool]


def _always(_: Sequence[Job], __: Sequence[Job]) -> bool:
    return True


class Scheduler:
    """Rows of the batch and the jobs that wait for them; each choice of a job takes a row.

    Chat is admitted before queued work at every step, and a job that waits for room lets nothing of a lower
    lane pass. `slots` rows serve any lane; `chat_slots` more are kept for chat. `bulk_rows` are never taken
    from queued work by chat. Queued work is let in no faster than its prompts are computed, `prompts` side by
    side. `fits` says whether jobs may run together. A job with small `company` (one that may have killed
    a worker before) holds back later queued work until it has run in that company.

    What cannot run beside that share, or not beside chat, has its turn: chat for which the share leaves no room
    waits for what runs of it, not for what is to come; and queued work of which nothing runs lets no more chat go
    ahead than its share allows.
    """

    def __init__(
        self,
        slots: int,
        chat_slots: int,
        prompts: int = UNLIMITED,
        fits: Fits = _always,
        bulk_rows: int = 0,
    ) -> None:
        self.slots = slots
        self.chat_slots = chat_slots
        self.bulk_rows = bulk_rows
        self.prompts = prompts
        self._fits = fits
        self._waiting: dict[str, deque[Job]] = {lane: deque() for lane in LANES}
        self._running: dict[str, Job] = {}
        self._aside: set[str] = set()
        self._ahead = 0  # rows of chat that were let in while queued work waited and none of it ran

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def jobs(self) -> list[Job]:
        """Those that run, in the order of their admission."""
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
        self._aside.discard(job_id)
        if self._running.pop(job_id, None) is not None:
            return
        for lane, jobs in self._waiting.items():
            self._waiting[lane] = deque(job for job in jobs if job.id != job_id)

    def defer(self, job: Job) -> None:
        """Take back one that was admitted and cannot start yet: it is the next of its lane."""
        del self._running[job.id]
        self._waiting[job.lane].appendleft(job)

    def displace(self) -> list[Job]:
        """Queued work that makes way for the chat that waits, the least urgent and of it the youngest first; it goes
        on when there is room.

        Nobody is displaced in vain: only if chat can start then.
        """
        if not (waiting := self._waiting["chat"]) or self._is_bulks_turn:
            return []
        staying, leaving = self.jobs, list[Job]()
        while not self._may_start(waiting[0], staying, leaving):
            last = next(
                (job for lane in reversed(_BULK) for job in reversed(staying) if job.lane == lane), None
            )
            if last is None or _bulk(staying) - last.work.choices < self.bulk_rows:
                return []
            staying.remove(last)
            leaving.append(last)
        for job in leaving:
            self.defer(job)
            self._aside.add(job.id)
        return leaving

    def admit(self, prompting: int = 0) -> Iterator[Job]:
        """Move every job that may start now from waiting to running, in order.

        `prompting` queued jobs still have their prompt computed.
        """
        yield from self._admit_chat()
        yield from self._admit_aside()
        if self._aside:
            return  # others wait for what it holds
        blocked = bool(self._waiting["chat"])
        for lane in _BULK:
            for job in self._admit_bulk(lane, self.prompts - prompting, blocked):
                prompting += 1
                yield job
            if self._waiting[lane]:
                return

    def _admit_chat(self) -> Iterator[Job]:
        jobs = self._waiting["chat"]
        while jobs and not self._is_bulks_turn and self._may_start(jobs[0], self.jobs):
            yield self._let_in("chat")

    def _admit_aside(self) -> Iterator[Job]:
        """What has begun goes before all other queued work, also while chat waits: chat that could not displace it
        waits for just that, and so does whoever needs the memory that it holds.
        """
        for lane in _BULK:
            jobs = self._waiting[lane]
            while jobs and jobs[0].id in self._aside and self._may_start(jobs[0], self.jobs):
                yield self._let_in(lane)

    def _admit_bulk(self, lane: str, room: int, blocked: bool) -> Iterator[Job]:
        jobs = self._waiting[lane]
        while jobs and room > 0:
            if (blocked and not self._may_pass(jobs[0])) or not self._may_start(jobs[0], self.jobs):
                return
            room -= 1
            yield self._let_in(lane)

    def _let_in(self, lane: str) -> Job:
        job = self._waiting[lane].popleft()
        self._aside.discard(job.id)
        self._count(job)
        self._running[job.id] = job
        return job

    def _count(self, job: Job) -> None:
        if self._ahead * self.bulk_rows >= self._every:
            # The turn is over. What it took to make room for it is given back before the next one.
            self._ahead = -self._every
        elif job.lane != "chat":
            self._ahead = 0
        elif self._next_bulk is None or _bulk(self.jobs):
            self._ahead = min(self._ahead, 0)
        else:
            self._ahead += job.work.choices

    @property
    def _every(self) -> int:
        return self.slots + self.chat_slots

    @property
    def _next_bulk(self) -> Job | None:
        return next((self._waiting[lane][0] for lane in _BULK if self._waiting[lane]), None)

    @property
    def _is_bulks_turn(self) -> bool:
        """Not for one that could not even start alone: nobody waits for that."""
        if self._ahead * self.bulk_rows < self._every or (job := self._next_bulk) is None:
            return False
        return bool(self._running) or self._may_start(job, [])

    def _may_pass(self, job: Job) -> bool:
        """Whether it may start while chat waits: in its turn, or in its own rows if chat has room beside them."""
        share = [*(one for one in self.jobs if one.lane != "chat"), job]
        return self._is_bulks_turn or (
            _bulk(share) <= self.bulk_rows and self._may_start(self._waiting["chat"][0], share)
        )

    def _may_start(self, job: Job, running: Sequence[Job], leaving: Sequence[Job] = ()) -> bool:
        together = [*running, job]
        rows = min(self._rows(job, _bulk(running)), *(one.company for one in together))
        # A job of several choices may be the only one where it is more than its company.
        enough = sum(one.work.choices for one in together) <= rows or len(together) == 1
        return enough and self._fits(together, leaving)

    def _rows(self, job: Job, bulk: int) -> int:
        """How many rows there may be with this job, when `bulk` of them run queued work."""
        every = self._every
        if job.lane != "chat":
            return every if bulk + job.work.choices <= self.bulk_rows else self.slots
        wanted = _bulk(self.jobs) + sum(len(jobs) for lane, jobs in self._waiting.items() if lane != "chat")
        return every - max(0, min(self.bulk_rows, wanted) - bulk)


def _bulk(jobs: Sequence[Job]) -> int:
    """Rows of queued work among these."""
    return sum(job.work.choices for job in jobs if job.lane != "chat")
