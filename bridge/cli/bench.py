"""`nats-mlx bench`: what this machine does with articles and chats, beside what others do with the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from bridge import access
from bridge.bench import chat as chat_bench
from bridge.bench import memory as memory_bench
from bridge.bench import mixed as mixed_bench
from bridge.bench import plot, stream, texts
from bridge.bench import queue as queue_bench
from bridge.bench import soak as soak_bench
from bridge.bench import tune as tune_bench
from bridge.bench.house import PREFIX_BYTES, Login, Own, Running, Site
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.cli import reports
from bridge.cli.output import Progress, json_line, note
from bridge.credentials import User
from bridge.settings import Settings
from schemas.runtime import loop

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Measure this machine; what each command starts goes with it.")

_File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Articles, JSON Lines; else samples."),
]
_Count = Annotated[
    int | None, typer.Option(min=1, help="Of the articles; more than the file has repeats it.")
]
_Repeats = Annotated[int, typer.Option(min=1, help="Rounds; a figure is the median of theirs.")]
_Model = Annotated[str | None, typer.Option(envvar="NATS_MLX_WORKER_MODEL", help="As for `up`.")]
_Url = Annotated[str | None, typer.Option(help="A house that runs already, instead of one of its own.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command()
def queue(
    file: _File = None,
    *,
    baselines: Annotated[
        str, typer.Option(help="Of a, a+prefix, b, c, unshared, batch, with commas; `none` for none.")
    ] = "a,a+prefix",
    free: Annotated[
        int | None, typer.Option(min=1, help="Free text of so many tokens on all sides, ours as a chat.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Then the same articles under new ids.")] = False,
    rows: Annotated[int | None, typer.Option(min=1, help="Baselines' batch width; else the slots.")] = None,
    count: _Count = None,
    repeats: _Repeats = 3,
    model: _Model = None,
    nats_url: _Url = None,
    as_json: _Json = False,
) -> None:
    """Articles per minute, publish to last analysis, beside the same prompts by other ways.

    Each pass has a house or a process of its own. (a) is mlx_lm's BatchGenerator in process, (b) mlx_lm.server
    asked one after another, (c) as many at once as there are slots; `unshared` is ours without any state kept for
    other prompts, `batch` the same articles through us as one OpenAI batch.
    """
    named = [] if baselines == "none" else [name.strip() for name in baselines.split(",")]
    wanted = queue_bench.Wanted(texts.load(file, count), named, repeats, free, again, rows, model)
    _measure(lambda say: queue_bench.measure(wanted, _site(nats_url, model, say), say), as_json)


@app.command()
def chat(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="Of one chat each way.")] = 20,
    tokens: Annotated[int, typer.Option(min=1, help="Of each answer.")] = 48,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """One chat through NATS and through the bridge, beside the same in process."""
    _measure(lambda say: chat_bench.measure(rounds, tokens, model, say), as_json)


@app.command()
def mixed(
    file: _File = None,
    *,
    tries: Annotated[
        int, typer.Option(min=2, help="Chats on the idle worker, and in pace on the busy one.")
    ] = 40,
    pause: Annotated[float, typer.Option(min=0, help="Seconds between two chats in pace.")] = 2.0,
    steps: Annotated[int, typer.Option(min=32, help="Tokens of each of the rows.")] = 96,
    count: _Count = None,
    repeats: _Repeats = 3,
    model: _Model = None,
    nats_url: _Url = None,
    as_json: _Json = False,
) -> None:
    """The first token of a chat while the queue runs, and decode steps with guided and with free rows.

    Chats come in a conversation's pace, and half as many unexpected: after a silence, when the worker no longer keeps
    its steps short for them.
    """
    wanted = mixed_bench.Wanted(texts.load(file, count), tries, pause, repeats, steps, model)
    _measure(lambda say: mixed_bench.measure(wanted, _site(nats_url, model, say), say), as_json)


@app.command()
def bridge(
    *,
    clients: Annotated[int, typer.Option(min=1, help="That read at once.")] = 16,
    chunks: Annotated[int, typer.Option(min=1, help="Of each answer.")] = 3000,
    repeats: _Repeats = 5,
    as_json: _Json = False,
) -> None:
    """Streamed chunks per second through the bridge, from an engine that emits at once; no model is needed."""
    _measure(partial(stream.measure, clients, chunks, repeats), as_json)


@app.command()
def tune(
    file: _File = None,
    *,
    widths: Annotated[str, typer.Option(help="Batch widths, with commas.")] = "1,2,4,8,16,32",
    chunks: Annotated[str, typer.Option(help="Prompt chunks in tokens, with commas.")] = "64,128,256,512",
    stretches: Annotated[
        str, typer.Option(help="Prompt tokens between two decode steps, with commas.")
    ] = "128,256,512,1024",
    image: Annotated[
        Path | None, typer.Option("--plot", dir_okay=False, help="A PNG of articles/min by width.")
    ] = None,
    count: _Count = None,
    repeats: _Repeats = 1,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """Articles per minute by batch width and prompt chunk, and how to set the best."""
    if image is not None:
        plot.need()  # before the hour that it takes
    some = texts.load(file, count)
    wanted = tune_bench.Wanted(some, _numbers(widths), _numbers(chunks), _numbers(stretches), repeats, model)
    report, found = _run(lambda say: tune_bench.measure(wanted, say))
    _show(report, as_json)
    if image is not None:
        plot.draw(image, report, found)
        note(f"the plot is {image}")


@app.command()
def soak(
    file: _File = None,
    *,
    minutes: Annotated[float, typer.Option(min=1, help="Of load, the warm-up included.")] = 60.0,
    warm_up: Annotated[float, typer.Option(min=0, help="Minutes that are not compared.")] = 15.0,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """Memory and open files of worker and bridge under articles and chats of all kinds, for an hour.

    The worker keeps 64 MiB of what prompts begin with, unless NATS_MLX_WORKER_PREFIX_BYTES says otherwise: a cache that
    still fills looks like a leak.
    """
    kept = {PREFIX_BYTES: os.environ.get(PREFIX_BYTES, "64MiB")}
    wanted = soak_bench.Wanted(texts.load(file, None), minutes, warm_up)
    _measure(lambda say: soak_bench.measure(wanted, Own(model, say, **kept), say), as_json)


@app.command()
def worn(
    file: _File = None,
    *,
    early: Annotated[int, typer.Option(min=1, help="Articles before the first look.")] = 200,
    late: Annotated[int, typer.Option(min=2, help="Articles before the second.")] = 1000,
    seconds: Annotated[float, typer.Option(min=1, help="Of each look.")] = 20.0,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """Memory of worker and bridge after many articles, beside that after some."""
    wanted = memory_bench.Wanted(texts.load(file, None), done=(early, late), seconds=seconds)
    _measure(lambda say: memory_bench.worn(wanted, Own(model, say), say), as_json)


@app.command()
def memory(
    file: _File = None,
    *,
    few: Annotated[int, typer.Option(min=1, help="Articles that wait at the first look.")] = 10,
    many: Annotated[int, typer.Option(min=2, help="Articles that wait at the second.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, help="Of each look.")] = 20.0,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """Memory of worker and bridge while many articles wait, beside that while few do."""
    wanted = memory_bench.Wanted(texts.load(file, None), waiting=(few, many), seconds=seconds)
    _measure(lambda say: memory_bench.backlog(wanted, Own(model, say), say), as_json)


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise typer.BadParameter(f"`{text}` is no list of numbers such as 8,16,32.")
    return found


def _site(nats_url: str | None, model: str | None, say: Say) -> Site:
    if nats_url is None:
        return Own(model, say)
    settings = Settings.load(nats_url=nats_url)

    def login(user: User) -> Login:
        found = access.find(user, settings)
        return Login(found.url, found.user, found.password, found.tls)

    return Running(login)


def _measure(work: Callable[[Say], Coroutine[Any, Any, Report]], as_json: bool) -> None:
    _show(_run(work), as_json)


def _run(work: Callable[[Say], Coroutine[Any, Any, T]]) -> T:
    with Progress() as progress:
        # The loop that worker and bridge have: what is measured must not be the loops' difference.
        return loop.run(work(_Person(progress)))


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        json_line(report)
    else:
        reports.show(report)


class _Person:
    """On stderr: the tables are for stdout."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def line(self, text: str) -> None:
        note(text)

    def detail(self, text: str) -> None:
        self._progress.show(text)
