"""Where all lines of a publication wait while nothing gets through: one backoff, one voice, one limit of patience."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from schemas.errors import Overloaded, Unavailable

_FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
# The same reason is told again after so long: a cron job's mail should not be a page of it.
_NEWS_EVERY = 30.0


class GaveUp(Unavailable):
    """Nothing moved for as long as the caller wants to wait."""

    default_code = "gave_up"


class Gate:
    """`say` hears why it waits. `give_up`: seconds without any progress after which waiting ends; None is never.

    `patient`: also for a server and a queue that were never there yet; else only for one that did take something.
    """

    def __init__(
        self, say: Callable[[str], None], give_up: float | None = None, *, patient: bool = False
    ) -> None:
        self.passed = False  # whether anything ever got through
        self.patient = patient
        self._say = say
        self._give_up = give_up
        self._since: float | None = None
        self._until = 0.0
        self._wait = _FIRST_WAIT
        self._told: dict[str, float] = {}
        self._opened = asyncio.Event()

    def moved(self) -> None:
        """Something got through: who waits may try at once."""
        self.passed = True
        self._since, self._until, self._wait = None, 0.0, _FIRST_WAIT
        self._opened.set()
        self._opened = asyncio.Event()

    async def hold(self, why: str, longest: float = LONGEST_WAIT) -> None:
        """Until it is worth another try. Raises GaveUp."""
        self.stand_still(why)
        now = time.monotonic()
        if now >= self._until:  # else somebody else was refused before, and this one waits along
            wait = min(self._wait, longest)
            self._until, self._wait = now + wait, min(self._wait * 2, LONGEST_WAIT)
            self._tell(why, now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._until - now, self._patience(now))):
                await self._opened.wait()
        if self._since is not None:
            self.stand_still(why)

    async def full(self, reason: str) -> None:
        """As hold(), for want of room on the queue."""
        await self.hold(f"the queue is full ({reason})")

    async def reconnect(self, why: str) -> None:
        """As hold(), but looks again soon: a look costs nothing."""
        await self.hold(why, 1.0)

    def stand_still(self, why: str) -> None:
        """Nothing moves at the moment. Raises GaveUp when that has lasted too long."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if self._patience(now) <= 0:
            raise GaveUp(f"Gave up after {self._give_up:g} s: {why}.")

    def _patience(self, now: float) -> float:
        if self._give_up is None or self._since is None:
            return float("inf")
        return self._since + self._give_up - now

    def _tell(self, why: str, now: float) -> None:
        if now >= self._told.get(why, now):
            self._told[why] = now + _NEWS_EVERY
            self._say(f"{why}; waiting")


class ClosedGate(Gate):
    """For callers who are told at once and come back by themselves, as over HTTP: nobody waits here."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)

    async def full(self, reason: str) -> None:
        raise Overloaded(f"The queue is full ({reason}).", code="queue_full", retry_after=int(LONGEST_WAIT))

    async def hold(self, why: str, longest: float = LONGEST_WAIT) -> None:  # noqa: ARG002 - Gate's
        raise GaveUp(f"{why[0].upper()}{why[1:]}; try again in a few seconds.", code="unavailable")
