"""`nats-mlx up`: everything on one machine, and a first run on sample articles."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import AsyncGenerator, Callable
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from bridge import keys
from bridge.cli import tables
from bridge.cli.output import Progress, note
from bridge.cli.publications import Lines, summary
from bridge.client.articles import Target
from bridge.client.outcomes import Outcome
from bridge.publication import Line, Publication
from bridge.settings import Settings
from bridge.up.programs import of_model
from bridge.up.run import Options, Ready
from bridge.up.run import up as run_up
from schemas.articles import Analysis
from schemas.codec import decode
from schemas.errors import Conflict
from schemas.runtime import log
from schemas.runtime.connection import connect
from schemas.runtime.loop import CANNOT_RUN

_SAMPLES = resources.files("bridge") / "samples" / "articles.jsonl"


def up(
    *,
    sample: Annotated[bool, typer.Option("--sample", help="Analyse the sample articles first.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop when that is done.")] = False,
    model: Annotated[
        str | None,
        typer.Option(envvar="NATS_MLX_WORKER_MODEL", help="A Hugging Face name, a folder, or `starter`."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Of the bridge; 0 takes any free one.")] = None,
    nats_port: Annotated[int, typer.Option(help="Of the nats-server; 0 takes any free one.")] = 4222,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="For passwords, queue and logs.")
    ] = None,
) -> None:
    """Run everything on this machine: nats-server, worker and bridge."""
    given = {"port": port, "data_dir": data_dir.absolute() if data_dir else None}
    values = Settings.load(**{name: value for name, value in given.items() if value is not None})
    keys.need(values)
    options = Options(values.data_dir.absolute(), of_model(model), values.host, values.port, nats_port)
    keyed = bool(keys.KeyFile(keys.path(values)).all())
    task = _Task(sample, once, data_dir, keyed)
    try:
        raise typer.Exit(asyncio.run(run_up(options, _say(values), task.run)))
    except Conflict as error:
        note(f"error: {error.message}")
        raise typer.Exit(CANNOT_RUN) from None


def _say(values: Settings) -> Callable[[str], None]:
    """On a terminal to the person; in a service to its log, which is turned over."""
    if values.kept_log is None or sys.stderr.isatty():
        return note
    log.setup(values.log_level, values.log_format, values.kept_log)
    return log.get("up").info


class _Task:
    """What `up` was asked to do once all is ready."""

    def __init__(self, sample: bool, once: bool, data_dir: Path | None, keyed: bool) -> None:
        self._keyed = keyed
        self._sample = sample
        self._once = once
        self._data_dir = data_dir

    async def run(self, ready: Ready) -> int:
        note("ready")
        code = await _show_samples(ready) if self._sample else 0
        if self._once:
            return code
        self._tell(ready)
        ready.steady()
        await asyncio.Event().wait()
        return 0

    def _tell(self, ready: Ready) -> None:
        """How to go on; another terminal finds a data folder of one's own only when it is told."""
        key = " -H 'authorization: Bearer <key>'" if self._keyed else ""
        context = shlex.quote(str(ready.folder.contexts / "operator.json"))
        prefix = f"NATS_MLX_DATA_DIR={self._data_dir.absolute()} " if self._data_dir else ""
        note(f"""
Ctrl-C stops it. In another terminal:
  {prefix}nats-mlx chat 'What is a coin?'
  {prefix}nats-mlx publish articles.jsonl --wait
  curl {ready.running.bridge_url}/v1/chat/completions -H 'content-type: application/json'{key} \\
    -d '{{"messages":[{{"role":"user","content":"What is a coin?"}}]}}'
  nats --context {context} stream report
Logs are in {ready.folder.logs}.""")


async def _show_samples(ready: Ready) -> int:
    """Publish them as any publisher would, and show what came of it."""
    url, password = ready.running.nats_url, ready.credentials.password("publisher")
    nc = await connect(url, "publisher", password, name="nats-mlx sample", wait=False)
    started = time.monotonic()
    try:
        with Progress() as progress:
            report = _Samples(progress)
            publication = Publication(nc, Target(), report)
            report.tally = publication.tally
            await publication.publish_and_wait(_lines())
    finally:
        await nc.close()
    table = tables.Analyses()
    for row in sorted(report.rows, key=lambda row: row.id):
        table.add(row)
    table.flush()
    note(summary(publication.tally, True, time.monotonic() - started))
    return 0 if report.rows and not publication.tally.failed else 1


async def _lines() -> AsyncGenerator[list[Line]]:
    texts = _SAMPLES.read_bytes().splitlines()
    yield [Line(f"articles.jsonl:{number}", text) for number, text in enumerate(texts, 1)]


class _Samples(Lines):
    """As for any publication, and keeps the analyses for the table."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress, wait=True)
        self.rows: list[Analysis] = []

    def outcome(self, outcome: Outcome) -> None:
        if outcome.analysis is not None:
            self.rows.append(decode(Analysis, outcome.analysis))
        super().outcome(outcome)
