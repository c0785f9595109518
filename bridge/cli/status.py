"""`nats-mlx status`: who works, and what waits, is done and is dead."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bridge.cli import tables
from bridge.cli.access import connected
from bridge.cli.output import json_line, out, say
from bridge.client.overview import Observer, Overview
from bridge.client.queue import QueueState
from schemas.presence import Presence


def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Show the workers and the queue."""
    found = asyncio.run(_ask())
    if as_json:
        json_line(found)
        return
    _workers(found.workers)
    say("")
    _queue(found.queue)


async def _ask() -> Overview:
    async with connected("operator") as nc:
        return await Observer(nc).look()


def _workers(workers: list[Presence]) -> None:
    if not workers:
        say("no worker is present")
        return
    built = tables.table("worker", "slots", "running", "waiting", "tokens/s", "memory")
    built.columns[0].ratio = 1
    for one in workers:
        speed, memory = f"{one.decode_tokens_per_second:.0f}", f"{one.memory_bytes / 1e9:.1f} GB"
        tables.add(built, one.worker, one.slots, one.running, one.waiting, speed, memory)
    out.print(built)
    say("")
    _models(workers)


def _models(workers: list[Presence]) -> None:
    """A model that several workers serve is in memory where it says so: each has its own line."""
    several = len(workers) > 1
    built = tables.table("model", "also called", "loaded", *(["worker"] if several else []))
    built.columns[0].ratio = 1
    for one in workers:
        for card in one.models:
            loaded = "yes" if card.loaded else "no"
            worker = [one.worker] if several else []
            tables.add(built, card.name, ", ".join(card.aliases), loaded, *worker)
    out.print(built)


def _queue(state: QueueState) -> None:
    built = tables.table("lane", "waiting", "in flight", "oldest")
    built.expand = False
    for lane in state.lanes:
        oldest = "" if lane.oldest_seconds is None else _span(lane.oldest_seconds)
        tables.add(built, lane.lane, lane.waiting, lane.in_flight, oldest)
    out.print(built)
    say(f"{state.done} analysed, {state.dead} dead{_eta(state.eta_seconds)}")


def _eta(seconds: float | None) -> str:
    return f", all done in about {_span(seconds)}" if seconds else ""


def _span(seconds: float) -> str:
    """As much as a person wants to know."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
