"""`nats-mlx publish`: a file of articles onto the queue, and with --wait their outcomes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from bridge.access import reached
from bridge.cli import lines, watch
from bridge.cli.output import Progress, note, say
from bridge.cli.publications import Json, Lines, summary
from bridge.client.articles import Target
from bridge.client.gate import Gate
from bridge.publication import Publication, Tally
from schemas.recipes import is_recipe_name
from schemas.subjects import Lane


def publish(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="JSON Lines; `-` is stdin.", show_default=False),
    ] = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--watch",
            metavar="DIR",
            file_okay=False,
            exists=True,
            help="Send each .jsonl file that comes into this folder, then move it to `done` or `failed` there.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="With --watch: what is there now, then end.")] = False,
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
    if bool(files) == bool(folder) or (once and folder is None):
        raise typer.BadParameter("name files, or --watch a folder (and --once ends that)")
    if not is_recipe_name(recipe):
        raise typer.BadParameter(f"`{recipe}` cannot be a recipe's name", param_hint="--recipe")
    target = Target(recipe, lane, replace)
    if folder is not None:
        raise typer.Exit(0 if asyncio.run(watch.run(folder, once, target, wait, give_up, as_json)) else 1)
    for file in files or []:
        # Before anything is sent: a wrong name among many is found while nothing has happened yet.
        if file != Path("-") and not os.access(file, os.R_OK):
            raise typer.BadParameter(f"{file} is not there, or may not be read.")
    tally = asyncio.run(run(files or [], target, wait, give_up, as_json))
    raise typer.Exit(1 if tally.failed else 0)


async def run(files: list[Path], target: Target, wait: bool, give_up: float | None, as_json: bool) -> Tally:
    started = time.monotonic()
    patient = give_up is not None
    async with reached("publisher", Gate(note, give_up, patient=patient)) as nc:
        with Progress() as progress:
            report = Json() if as_json else Lines(progress, wait)
            publication = Publication(nc, target, report, give_up, patient=patient)
            report.tally = publication.tally
            work = publication.publish_and_wait if wait else publication.publish
            await work(lines.of_files(files))
    if not as_json:
        say(summary(publication.tally, wait, time.monotonic() - started))
    return publication.tally
