"""`nats-mlx status`: who works, and what waits, is done and is dead; with `--watch` as it changes."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Callable
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from bridge.access import connected
from bridge.cli import tables
from bridge.cli.output import json_line, note, out, plain, say
from bridge.client.overview import Observer, Overview
from bridge.client.queue import QueueState
from schemas.errors import Unavailable
from schemas.presence import Presence

_LOOK_EVERY = 2.0


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds, until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, with --watch one each time.")
    ] = False,
) -> None:
    """Show the workers and the queue."""
    if not watch:
        found = asyncio.run(_ask())
        json_line(found) if as_json else out.print(_view(found))
        return
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        asyncio.run(_lines(json_line if as_json else _say) if as_json or not out.is_terminal else _live())


async def _ask() -> Overview:
    async with connected("operator") as nc:
        return await Observer(nc).look()


async def _looks() -> AsyncGenerator[Overview | Unavailable]:
    """For ever: a server that goes away is no end, it may come again."""
    async with connected("operator") as nc:
        observer = Observer(nc)
        while True:
            try:
                yield await observer.look()
            except Unavailable as error:
                yield error
            await asyncio.sleep(_LOOK_EVERY)


async def _lines(tell: Callable[[Overview], None]) -> None:
    async with contextlib.aclosing(_looks()) as looks:
        async for found in looks:
            if isinstance(found, Overview):
                tell(found)
            else:
                note(found.message)


async def _live() -> None:
    """One view that changes in its place; what was seen last stays. While nothing is to be seen, it says why."""
    seen: RenderableType = Text("")
    with Live(console=out, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as screen:
        async with contextlib.aclosing(_looks()) as looks:
            async for found in looks:
                fault = found.message if isinstance(found, Unavailable) else ""
                seen = _view(found) if isinstance(found, Overview) else seen
                screen.update(Group(seen, Text(""), Text(plain(f"{_now()}  {fault}"))), refresh=True)


def _say(found: Overview) -> None:
    """The whole as one line, for a pipe or a log."""
    queue, workers = found.queue, found.workers
    waiting, in_flight = (
        sum(getattr(lane, field) for lane in (*queue.lanes, queue.lines))
        for field in ("waiting", "in_flight")
    )
    speed = sum(one.decode_tokens_per_second for one in workers)
    parts = [
        f"workers {len(workers)}",
        f"running {sum(one.running for one in workers)}",
        f"{speed:.0f} tokens/s",
    ]
    parts += [f"waiting {waiting}", f"in flight {in_flight}", _done(queue)]
    say(f"{_now()} {', '.join(parts)}")


def _now() -> str:
    return dt.datetime.now().astimezone().strftime("%H:%M:%S")


def _view(found: Overview) -> RenderableType:
    return Group(*_workers(found.workers), Text(""), *_queue(found.queue))


def _workers(workers: list[Presence]) -> list[RenderableType]:
    if not workers:
        return [Text("no worker is present")]
    built = tables.table("worker", "slots", "running", "waiting", "tokens/s", "memory")
    built.columns[0].ratio = 1
    for one in workers:
        speed, memory = f"{one.decode_tokens_per_second:.0f}", f"{one.memory_bytes / 1e9:.1f} GB"
        tables.add(built, one.worker, one.slots, one.running, one.waiting, speed, memory)
    return [built, Text(""), _models(workers)]


def _models(workers: list[Presence]) -> RenderableType:
    """A model that several workers serve is in memory where it says so: each has its own line."""
    several = len(workers) > 1
    built = tables.table("model", "also called", "loaded", *(["worker"] if several else []))
    built.columns[0].ratio = 1
    for one in workers:
        for card in one.models:
            loaded = "yes" if card.loaded else "no"
            worker = [one.worker] if several else []
            tables.add(built, card.name, ", ".join(card.aliases), loaded, *worker)
    return built


def _queue(state: QueueState) -> list[RenderableType]:
    built = tables.table("lane", "waiting", "in flight", "oldest")
    built.expand = False
    for lane in state.lanes:
        oldest = "" if lane.oldest_seconds is None else _span(lane.oldest_seconds)
        tables.add(built, lane.lane, lane.waiting, lane.in_flight, oldest)
    if state.lines.waiting or state.lines.in_flight:
        tables.add(built, "batch", state.lines.waiting, state.lines.in_flight, "")
    return [built, Text(_done(state))]


def _done(state: QueueState) -> str:
    return f"{state.done} analysed, {state.dead} dead{_eta(state.eta_seconds)}"


def _eta(seconds: float | None) -> str:
    return f", all done in about {_span(seconds)}" if seconds else ""


def _span(seconds: float) -> str:
    """As much as a person wants to know."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
