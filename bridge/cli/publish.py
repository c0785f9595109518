"""`nats-mlx publish`: a file of articles onto the queue, and with --wait their outcomes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bridge.cli import lines
from bridge.cli.access import connected
from bridge.cli.output import Progress, json_line, note, say
from bridge.client.articles import Outgoing, Target
from bridge.client.outcomes import Outcome
from bridge.publication import Line, Publication, Tally
from schemas.errors import LlmError
from schemas.subjects import Lane


def publish(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="JSON Lines; `-` is stdin.")],
    *,
    recipe: Annotated[str, typer.Option(help="How the articles become prompts.")] = "coin",
    lane: Annotated[Lane, typer.Option(help="`high` is served first.")] = "norm",
    wait: Annotated[bool, typer.Option("--wait", help="Until each has its analysis or dead letter.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Analyse again what has an analysis.")] = False,
    give_up: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="End when nothing has moved for so long; else never."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each event.")] = False,
) -> None:
    """Send articles to be analysed; with --wait, see it through."""
    for file in files:
        # Before anything is sent: a wrong name among many is found while nothing has happened yet.
        if file != Path("-") and not os.access(file, os.R_OK):
            raise typer.BadParameter(f"{file} is not there, or may not be read.")
    tally = asyncio.run(run(files, Target(recipe, lane, replace), wait, give_up, as_json))
    raise typer.Exit(1 if tally.failed else 0)


async def run(files: list[Path], target: Target, wait: bool, give_up: float | None, as_json: bool) -> Tally:
    started = time.monotonic()
    async with connected("publisher") as nc:
        with Progress() as progress:
            report = _Json() if as_json else Lines(progress)
            publication = Publication(nc, target, report, give_up)
            report.tally = publication.tally
            work = publication.publish_and_wait if wait else publication.publish
            await work(lines.of_files(files))
    if not as_json:
        say(summary(publication.tally, wait, time.monotonic() - started))
    return publication.tally


def summary(tally: Tally, wait: bool, seconds: float) -> str:
    parts = [f"{tally.published} published"]
    parts += [f"{tally.waited} waited already"] if tally.waited else []
    parts += [f"{tally.bad} bad"] if tally.bad else []
    parts += [f"{tally.unsent} not sent"] if tally.unsent else []
    before = f" ({tally.before} before)" if tally.before else ""
    parts += [f"{tally.done} analysed{before}", f"{tally.dead} dead"] if wait else []
    parts += [f"{tally.open} open"] if wait and tally.open else []
    return f"{', '.join(parts)} ({seconds:.1f} s)"


class Lines:
    """For people: progress, and a line for each article that went wrong."""

    def __init__(self, progress: Progress) -> None:
        self.tally = Tally()
        self._progress = progress

    def bad(self, line: Line, error: LlmError) -> None:
        note(f"{line.where}: {error.message}")

    def published(self, article: Outgoing, sequence: int | None) -> None:  # noqa: ARG002 - Report's
        self._show()

    def outcome(self, outcome: Outcome) -> None:
        if outcome.dead is not None:
            note(f"{outcome.id}: dead: {outcome.dead.error}")
        self._show()

    def full(self, why: str) -> None:
        note(why)

    def unsent(self, line: Line) -> None:
        note(f"{line.where}: not sent")

    def unread(self, line: Line) -> None:
        note(f"{line.where}: what follows it was not sent either")

    def gave_up(self, error: LlmError) -> None:
        note(f"error: {error.message}")

    def _show(self) -> None:
        tally = self.tally
        self._progress.show(
            f"{tally.published} published, {tally.waited} waited already, {tally.done} analysed, "
            f"{tally.dead} dead, {tally.open} open"
        )


class _Json:
    """For programs: one object for each event, the analysis as it is stored."""

    tally = Tally()

    def bad(self, line: Line, error: LlmError) -> None:
        self._emit("bad", where=line.where, param=error.param, code=error.code, error=error.message)

    def published(self, article: Outgoing, sequence: int | None) -> None:
        status = "waits already" if sequence is None else "published"
        self._emit(status, id=article.id, sequence=sequence, trace_id=article.trace_id)

    def outcome(self, outcome: Outcome) -> None:
        if outcome.analysis is not None:
            self._emit(
                "analysed", id=outcome.id, before=outcome.before, analysis=msgspec.Raw(outcome.analysis)
            )
        else:
            self._emit("dead", id=outcome.id, letter=outcome.dead)

    def full(self, why: str) -> None:
        note(why)

    def unsent(self, line: Line) -> None:
        self._emit("not sent", where=line.where)

    def unread(self, line: Line) -> None:
        self._emit("not sent", after=line.where)

    def gave_up(self, error: LlmError) -> None:
        note(f"error: {error.message}")

    def _emit(self, status: str, **fields: Any) -> None:
        json_line({"status": status} | fields)
