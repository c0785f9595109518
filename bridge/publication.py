"""Lines in, outcomes out: the publisher's whole way with a file, for the command and for `up --sample`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bridge.client import Client, articles
from bridge.client.articles import Outgoing, Target
from bridge.client.gate import Gate, GaveUp
from bridge.client.outcomes import Outcome, Outcomes, send
from schemas.errors import BadRequest, LlmError, TooLarge

_IN_FLIGHT = 32


class Line(NamedTuple):
    """One line of a file; `where` is `file:number`."""

    where: str
    text: bytes


@dataclass
class Tally:
    """How far it is. `before`: so many of `done` were analysed before they were published this time."""

    read: int = 0
    published: int = 0
    waited: int = 0
    bad: int = 0
    unsent: int = 0
    done: int = 0
    before: int = 0
    dead: int = 0
    gave_up: bool = False

    @property
    def open(self) -> int:
        return self.published + self.waited - self.done - self.dead

    @property
    def failed(self) -> bool:
        return bool(self.bad or self.dead or self.gave_up)


class Report(Protocol):
    """Who hears of it. Each call comes after the tally was changed."""

    def bad(self, line: Line, error: LlmError) -> None: ...

    def published(self, article: Outgoing, sequence: int | None) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def full(self, why: str) -> None:
        """Nothing gets through at the moment."""

    def unsent(self, line: Line) -> None:
        """A line that was given up."""

    def unread(self, line: Line) -> None:
        """What follows this line was not even read."""

    def gave_up(self, error: LlmError) -> None: ...


class Publication:
    """One run over some lines, which come as blocks of those that are at hand together: within a block the short
    ones go first. `give_up`: seconds without any progress after which it ends; `patient`: see Gate.
    """

    def __init__(
        self,
        nc: Client,
        target: Target,
        report: Report,
        give_up: float | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self.tally = Tally()
        self._nc = nc
        self._target = target
        self._report = report
        self._gate = Gate(report.full, give_up, patient=patient)
        self._free = asyncio.Semaphore(_IN_FLIGHT)
        self._reading: asyncio.Task[None] | None = None
        self._newest: Line | None = None

    async def publish(self, blocks: AsyncGenerator[list[Line]]) -> None:
        """Until the server has stored each good line, or it is given up."""
        await self._send_all(blocks, None)

    async def publish_and_wait(self, blocks: AsyncGenerator[list[Line]]) -> None:
        """Until each good line has its analysis or its dead letter; they come while others still go."""
        outcomes = Outcomes(self._nc, self._gate)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all(blocks, outcomes))
            try:
                async for outcome in outcomes:
                    self.tally.done += outcome.dead is None
                    self.tally.before += outcome.before
                    self.tally.dead += outcome.dead is not None
                    self._report.outcome(outcome)
            except GaveUp as error:
                self._give_up(error)

    async def _send_all(self, blocks: AsyncGenerator[list[Line]], outcomes: Outcomes | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            # A task of its own: who gave up must not wait for a pipe that says nothing more.
            self._reading = tasks.create_task(self._read(tasks, blocks, outcomes))
        if self._reading.cancelled() and self._newest is not None:
            self._report.unread(self._newest)
        if outcomes is not None:
            outcomes.close()

    async def _read(
        self, tasks: asyncio.TaskGroup, blocks: AsyncGenerator[list[Line]], outcomes: Outcomes | None
    ) -> None:
        async with contextlib.aclosing(blocks):
            async for block in blocks:
                self._newest = block[-1]
                self.tally.read += len(block)
                # What is decoded together is as wide as the longest of it: like goes with like.
                left = deque(sorted(block, key=lambda line: len(line.text)))
                try:
                    while left:
                        await self._free.acquire()
                        sending = tasks.create_task(self._send(left.popleft(), outcomes))
                        sending.add_done_callback(lambda _: self._free.release())
                except asyncio.CancelledError:
                    for line in left:
                        self._unsent(line)
                    raise

    async def _send(self, line: Line, outcomes: Outcomes | None) -> None:
        try:
            article = articles.prepare(line.text, self._target)
            sequence = await self._hand_over(article, outcomes)
        except (BadRequest, TooLarge) as error:
            self.tally.bad += 1
            self._report.bad(line, error)
            return
        except GaveUp as error:
            self._unsent(line)
            self._give_up(error)
            return
        self.tally.published += sequence is not None
        self.tally.waited += sequence is None
        self._report.published(article, sequence)

    async def _hand_over(self, article: Outgoing, outcomes: Outcomes | None) -> int | None:
        if outcomes is None:
            return await articles.publish(self._nc, article, self._gate)
        expected = await send(self._nc, article, self._gate)
        outcomes.add(expected)
        return expected.sequence

    def _unsent(self, line: Line) -> None:
        self.tally.unsent += 1
        self._report.unsent(line)

    def _give_up(self, error: GaveUp) -> None:
        """Said once; what is under way ends at the gate by itself."""
        if self._reading is not None:
            self._reading.cancel()
        if not self.tally.gave_up:
            self.tally.gave_up = True
            self._report.gave_up(error)
