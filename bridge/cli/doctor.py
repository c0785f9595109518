"""`nats-mlx doctor`: one line for each check, with the fix where something is not well."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli.output import json_line, out, plain
from bridge.doctor.examination import examination
from bridge.doctor.finding import Finding, Grade
from bridge.settings import Settings
from schemas.runtime import log

_STYLES = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.FAILED: "bold red", Grade.SKIPPED: "dim"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a check.")] = False,
) -> None:
    """Check server, queue, workers and this machine, and name the fix."""
    log.setup("error", "auto")  # what a check finds, its line says
    if not asyncio.run(_healthy(Settings.load(), as_json)):
        raise typer.Exit(1)


async def _healthy(settings: Settings, as_json: bool) -> bool:
    failures = 0
    async with contextlib.aclosing(examination(settings)) as findings:
        async for finding in findings:
            failures += finding.grade is Grade.FAILED
            json_line(finding) if as_json else _line(finding)
    return not failures


def _line(finding: Finding) -> None:
    # Sentences of errors end with a full stop, those of checks do not.
    says = f"{finding.says.rstrip('.')}. Fix: {finding.fix}" if finding.fix else finding.says.rstrip(".")
    text = Text(f"{finding.grade:8} ", style=_STYLES[finding.grade])
    text.append(plain(f"{finding.check}: {says}"), style="default")
    out.print(text, soft_wrap=True)
