"""`nats-mlx batch`: a file of OpenAI's batch lines from a terminal; whichever bridge takes it looks after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from bridge import jsonl
from bridge.access import connected
from bridge.batches import begin, states
from bridge.batches.check import LONGEST, parse
from bridge.batches.endpoints import ENDPOINTS
from bridge.cli import lines, tables
from bridge.cli.output import Progress, json_line, note, say
from bridge.cli.output import out as stdout
from bridge.client import Client, batches, files, stored
from bridge.client.files import Upload
from schemas.batches import Batch, BatchRequest, OutputLine
from schemas.codec import convert, decode
from schemas.errors import BadRequest, ErrorBody, TooLarge
from schemas.files import LONGEST_LIFE

app = typer.Typer(no_args_is_help=True, help="Many requests at once, as OpenAI's batches have them.")

_LOOK_EVERY = 0.5
# Seconds: to look through the largest file takes less.
_STRANGE = 30.0
_Id = Annotated[str, typer.Argument(metavar="ID", help="As `ls` shows it.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", dir_okay=False, help="Where the answers go; else to stdout."),
]


@app.command("run")
def run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON Lines of requests.", exists=True, dir_okay=False)
    ],
    out: _Out = None,
) -> None:
    """Begin a batch, see it through, and write what was answered."""
    _need_room(out)
    size = file.stat().st_size
    if size > files.MAX_BYTES:
        raise TooLarge(f"{file} has {size:,} bytes; {files.MAX_BYTES:,} are the most, so send it as several.")
    raise typer.Exit(asyncio.run(_run(file, size, out)))


@app.command("get")
def get(batch_id: _Id, out: _Out = None) -> None:
    """See a batch through that was begun before, and write what was answered."""
    _need_room(out)
    raise typer.Exit(asyncio.run(_get(batch_id, out)))


@app.command("ls")
def ls(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List them, newest first."""
    asyncio.run(_ls(as_json))


@app.command("cancel")
def cancel(batch_id: _Id) -> None:
    """End a batch; what was answered so far stays."""
    asyncio.run(_cancel(batch_id))


def _need_room(out: Path | None) -> None:
    """Before hours of work: whether its answers have a place."""
    if out is not None and not os.access(out if out.exists() else out.parent, os.W_OK):
        raise typer.BadParameter(f"{out} cannot be written.")


async def _run(file: Path, size: int, out: Path | None) -> int:
    endpoint = await _endpoint(file)
    async with connected("operator") as nc:
        with Progress() as progress:
            sent = await _send(nc, file, size, progress)
        wanted = {"input_file_id": sent, "endpoint": endpoint, "completion_window": "24h"}
        batch = await begin.begin(nc, convert(BatchRequest, wanted))
        note(f"{batch.id} is on its way, also without this command: `nats-mlx batch get` goes on with it")
        return await _see_through(nc, batch.id, out)


async def _get(batch_id: str, out: Path | None) -> int:
    async with connected("operator") as nc:
        return await _see_through(nc, batch_id, out)


async def _endpoint(file: Path) -> str:
    """Of its first line; the others have to agree."""
    with file.open("rb") as source:
        async for text in jsonl.lines(lines.chunks(source.fileno()), LONGEST):
            try:
                url = parse(1, text).url
            except BadRequest as error:
                raise BadRequest(f"{file}:1: {error.message}", param=error.param, code=error.code) from None
            if url not in ENDPOINTS:
                ours = ", ".join(f"`{one}`" for one in ENDPOINTS)
                raise BadRequest(f"{file}:1: `{url}` is no `url` of a batch; those are {ours}.", param="url")
            return url
    raise BadRequest(f"{file} is empty: a batch needs at least one request.")


async def _send(nc: Client, file: Path, size: int, progress: Progress) -> str:
    """Its file's id."""
    async with Upload(nc, "batch", stored.patiently) as upload:
        with file.open("rb") as source:
            async for chunk in lines.chunks(source.fileno()):
                await upload.write(chunk)
                progress.show(f"sending {file.name}", upload.size, size)
        return (await upload.finish(files.new_id(), file.name, LONGEST_LIFE)).id


async def _see_through(nc: Client, batch_id: str, out: Path | None) -> int:
    started = time.monotonic()
    with Progress() as progress:
        batch = await _until_over(nc, batch_id, progress)
    if batch.output_file_id is not None:
        with out.open("wb") if out else contextlib.nullcontext(sys.stdout.buffer) as sink:
            await _write(nc, batch.output_file_id, sink)
    for fault in batch.errors.data if batch.errors else []:
        note(f"line {fault.line}: {fault.message}" if fault.line else fault.message)
    if batch.error_file_id is not None:
        async for line in _lines(nc, batch.error_file_id):
            note(_why(decode(OutputLine, line)))
    note(f"{batch_id}: {_summary(batch)} ({time.monotonic() - started:.1f} s)")
    return 0 if batch.status == "completed" and not batch.request_counts.failed else 1


async def _until_over(nc: Client, batch_id: str, progress: Progress) -> Batch:
    wondering = time.monotonic() + _STRANGE
    while True:
        batch = (await batches.get(nc, batch_id, stored.patiently)).batch
        if batch.over:
            return batch
        if batch.status == "validating" and time.monotonic() > wondering:
            note("no bridge has looked at it yet: `nats-mlx up` has one, or start `nats-mlx bridge`")
            wondering = float("inf")
        counts = batch.request_counts
        progress.show(_summary(batch), counts.completed + counts.failed, counts.total or None)
        await asyncio.sleep(_LOOK_EVERY)


async def _write(nc: Client, file_id: str, sink: BinaryIO) -> None:
    _, where = await files.content(nc, file_id)
    async for chunk in files.read(nc, where):
        sink.write(chunk)
    sink.flush()


async def _lines(nc: Client, file_id: str) -> AsyncGenerator[bytes]:
    _, where = await files.content(nc, file_id)
    async for line in jsonl.lines(files.read(nc, where), sys.maxsize):
        yield line


def _why(line: OutputLine) -> str:
    if line.response is None:
        return f"{line.custom_id}: {line.error.message if line.error else 'not answered'}"
    return f"{line.custom_id}: {decode(ErrorBody, bytes(line.response.body)).error.message}"


def _summary(batch: Batch) -> str:
    counts = batch.request_counts
    parts = [batch.status.replace("_", " "), f"{counts.completed} of {counts.total} answered"]
    return ", ".join(parts + ([f"{counts.failed} failed"] if counts.failed else []))


async def _ls(as_json: bool) -> None:
    built = tables.table("id", "status", "answered", "failed")
    async with connected("operator") as nc:
        for one in await batches.every(nc):
            counts = one.request_counts
            if as_json:
                json_line(one)
            else:
                tables.add(built, one.id, one.status, f"{counts.completed} of {counts.total}", counts.failed)
    if built.row_count:
        stdout.print(built)
    elif not as_json:
        note("no batches")


async def _cancel(batch_id: str) -> None:
    async with connected("operator") as nc:
        kept = await batches.change(nc, batch_id, partial(states.cancelling, now=int(time.time())))
    say(f"{batch_id}: {kept.batch.status}")
