"""What tests of publishing share: articles as lines, and a report that remembers everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from bridge.client import Client, articles
from bridge.client.articles import Target
from bridge.client.outcomes import Outcome
from bridge.publication import Line, Publication, Tally
from schemas.errors import LlmError

PLAIN = Target()


class Report:
    """Remembers everything."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str | None]] = []
        self.sequences: list[int | None] = []
        self.outcomes: list[Outcome] = []
        self.waits: list[str] = []
        self.first_wait = asyncio.Event()
        self.first_sent = asyncio.Event()
        self.left: list[str] = []
        self.rest: str | None = None
        self.end: LlmError | None = None

    def bad(self, line: Line, error: LlmError) -> None:
        self.refused.append((line.where, error.param))

    def published(self, article: articles.Outgoing, sequence: int | None) -> None:
        self.sequences.append(sequence)
        self.first_sent.set()

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def full(self, why: str) -> None:
        self.waits.append(why)
        self.first_wait.set()

    def unsent(self, line: Line) -> None:
        self.left.append(line.where)

    def unread(self, line: Line) -> None:
        self.rest = line.where

    def gave_up(self, error: LlmError) -> None:
        assert self.end is None
        self.end = error


def article(key: str, **fields: object) -> bytes:
    return json.dumps({"id": key, "title": f"title {key}", "body": "b"} | fields).encode()


async def lines(*texts: bytes) -> AsyncGenerator[list[Line]]:
    """As a slow pipe brings them."""
    for number, text in enumerate(texts, 1):
        yield [Line(f"f:{number}", text)]


async def run(nc: Client, *texts: bytes, wait: bool = True, target: Target = PLAIN) -> tuple[Tally, Report]:
    report = Report()
    publication = Publication(nc, target, report)
    async with asyncio.timeout(30):
        await (publication.publish_and_wait if wait else publication.publish)(lines(*texts))
    return publication.tally, report
