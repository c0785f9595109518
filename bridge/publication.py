"""Lines in, outcomes out: the publisher's whole way with a file, for the command and for `up --sample`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bridge.client import Client, articles
from bridge.client.articles import Outgoing, Target
from bridge.client.outcomes import Outcome, Outcomes, send
from schemas.errors import BadRequest, LlmError, TooLarge

_IN_FLIGHT = 32


class Line(NamedTuple):
    """One line of a file; `where` is `file:number`."""

    where: str
    text: bytes


@dataclass
class Tally:
    """How far it is."""

    published: int = 0
    waited: int = 0
    bad: int = 0
    done: int = 0
    dead: int = 0

    @property
    def open(self) -> int:
        return self.published + self.waited - self.done - self.dead

    @property
    def failed(self) -> bool:
        return bool(self.bad or self.dead)


class Report(Protocol):
    """Who hears of it. Each call comes after the tally was changed."""

    def bad(self, line: Line, error: LlmError) -> None: ...

    def published(self, article: Outgoing, sequence: int | None) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def full(self, why: str) -> None: ...


class Publication:
    """One run over some lines."""

    def __init__(self, nc: Client, target: Target, report: Report) -> None:
        self.tally = Tally()
        self._nc = nc
        self._target = target
        self._report = report
        self._free = asyncio.Semaphore(_IN_FLIGHT)

    async def publish(self, lines: AsyncIterator[Line]) -> None:
        """Until the server has stored each good line."""
        await self._send_all(lines, None)

    async def publish_and_wait(self, lines: AsyncIterator[Line]) -> None:
        """Until each good line has its analysis or its dead letter; they come while others still go."""
        outcomes = Outcomes(self._nc, self._report.full)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all(lines, outcomes))
            async for outcome in outcomes:
                self.tally.done += outcome.dead is None
                self.tally.dead += outcome.dead is not None
                self._report.outcome(outcome)

    async def _send_all(self, lines: AsyncIterator[Line], outcomes: Outcomes | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            async for line in lines:
                await self._free.acquire()
                tasks.create_task(self._send(line, outcomes)).add_done_callback(
                    lambda _: self._free.release()
                )
        if outcomes is not None:
            outcomes.close()

    async def _send(self, line: Line, outcomes: Outcomes | None) -> None:
        try:
            article = articles.prepare(line.text, self._target)
            sequence = await self._hand_over(article, outcomes)
        except (BadRequest, TooLarge) as error:
            self.tally.bad += 1
            self._report.bad(line, error)
            return
        self.tally.published += sequence is not None
        self.tally.waited += sequence is None
        self._report.published(article, sequence)

    async def _hand_over(self, article: Outgoing, outcomes: Outcomes | None) -> int | None:
        if outcomes is None:
            return await articles.publish(self._nc, article, self._report.full)
        expected = await send(self._nc, article, self._report.full)
        outcomes.add(expected)
        return expected.sequence
