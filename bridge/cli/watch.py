"""`nats-mlx publish --watch`: a crawler's folder, file by file, each moved away once its articles are on the queue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from bridge.access import reached
from bridge.cli import lines
from bridge.cli.output import Progress, json_line, note, say
from bridge.cli.publications import Json, Lines, summary
from bridge.client import Client
from bridge.client.articles import Outgoing, Target
from bridge.client.gate import Gate
from bridge.client.outcomes import Outcome
from bridge.publication import Line, Publication, Report, Tally
from bridge.spool import Spool
from schemas.errors import LlmError

_LOOK_EVERY = 2.0


class _How(NamedTuple):
    target: Target
    wait: bool
    give_up: float | None
    as_json: bool
    patient: bool  # with whatever is not there yet


async def run(
    folder: Path, once: bool, target: Target, wait: bool, give_up: float | None, as_json: bool
) -> bool:
    """Until it gives up, or with `once` until all that is there now is done. Whether nothing failed.

    Whatever kills it before a file is moved, the file is sent again: articles that wait or are analysed already
    are not done twice.
    """
    how, good = _How(target, wait, give_up, as_json, not once or give_up is not None), True
    with contextlib.closing(Spool(folder)) as spool:
        async with reached("publisher", Gate(note, give_up, patient=how.patient)) as nc:
            spool.resting()  # what is there, to see whether it rests
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                for file in spool.resting():
                    tally = await _file(nc, spool, file, how)
                    good &= not tally.failed
                    if tally.gave_up:
                        return False
                if once:
                    return good


async def _file(nc: Client, spool: Spool, file: Path, how: _How) -> Tally:
    if not os.access(file, os.R_OK):
        if not os.access(file, os.F_OK):  # its owner took it away since we looked
            return Tally()
        spool.failed(file, ["It may not be read."])
        _tell(file, "failed", Tally(bad=1), how, 0)
        return Tally(bad=1)
    started = time.monotonic()
    with Progress() as progress:
        report = Json() if how.as_json else Lines(progress, how.wait)
        told = _Told(report)
        publication = Publication(nc, how.target, told, how.give_up, patient=how.patient)
        report.tally = publication.tally
        work = publication.publish_and_wait if how.wait else publication.publish
        await work(lines.of_files([file]))
    tally = publication.tally
    fate = "failed" if tally.failed else "done"
    if tally.gave_up:
        fate = "left"  # for the next time
    elif not (spool.failed(file, told.complaints) if tally.failed else spool.done(file)):
        fate = "changed meanwhile, to be sent again"
    _tell(file, fate, tally, how, time.monotonic() - started)
    return tally


def _tell(file: Path, fate: str, tally: Tally, how: _How, seconds: float) -> None:
    if how.as_json:
        json_line({"status": f"file {fate}", "file": file.name})
    else:
        say(f"{file.name}: {fate}: {summary(tally, how.wait, seconds)}")


class _Told:
    """Passes all on, and keeps what is wrong with the file."""

    def __init__(self, report: Report) -> None:
        self.complaints: list[str] = []
        self._report = report

    def bad(self, line: Line, error: LlmError) -> None:
        self.complaints.append(f"{line.where}: {error.message}")
        self._report.bad(line, error)

    def published(self, article: Outgoing, sequence: int | None) -> None:
        self._report.published(article, sequence)

    def outcome(self, outcome: Outcome) -> None:
        if outcome.dead is not None:
            self.complaints.append(f"{outcome.id}: dead: {outcome.dead.error}")
        self._report.outcome(outcome)

    def full(self, why: str) -> None:
        self._report.full(why)

    def unsent(self, line: Line) -> None:
        self._report.unsent(line)

    def unread(self, line: Line) -> None:
        self._report.unread(line)

    def gave_up(self, error: LlmError) -> None:
        self._report.gave_up(error)
