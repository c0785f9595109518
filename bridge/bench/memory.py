"""`bench memory`: whether processes grow with the articles that they have done, or that wait for them."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from bridge.bench import batch, texts
from bridge.bench.figures import Figure, Goal, Series, at_most
from bridge.bench.house import House, Site
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.client import Client, presence
from bridge.client.articles import Target
from schemas.articles import Article
from schemas.errors import EngineFailed
from schemas.runtime.bench import RECIPE

_PROCESSES = {"worker": "-m worker", "bridge": "-m bridge.app"}
_MB = 2**20


class Wanted(NamedTuple):
    """Articles done before the first and before the second look; articles that wait at each; seconds of a look."""

    articles: list[Article]
    done: tuple[int, int] = (200, 1000)
    waiting: tuple[int, int] = (10, 10_000)
    seconds: float = 20.0


async def soak(wanted: Wanted, site: Site, say: Say) -> Report:
    """Bytes of worker and bridge after so many articles and after many more."""
    early, late = wanted.done

    async def job(house: House) -> tuple[_Looks, _Looks]:
        async with house.client("operator") as nc:
            await batch.run(nc, _some(wanted, 0, early), say)
            first = await _look(wanted.seconds)
            say.line(f"after {early} articles: {first}")
            await batch.run(nc, _some(wanted, early, late), say)
            second = await _look(wanted.seconds)
            say.line(f"after {late} articles: {second}")
            return first, second

    looks = await site.use(job)
    names = (f"after {early} articles", f"after {late}")
    figures = [_grown("worker", f"worker, after {late} ÷ after {early}", looks, at_most(1.05))]
    return _report("soak", wanted, names, looks, figures)


async def backlog(wanted: Wanted, site: Site, say: Say) -> Report:
    """Bytes of worker and bridge while few articles wait and while many do; the worker is at work both times."""
    few, many = wanted.waiting

    async def job(house: House) -> tuple[_Looks, _Looks]:
        async with house.client("operator") as nc:
            slots = sum(worker.slots for worker in await presence.workers(nc))
            await batch.run(nc, _some(wanted, 0, 2 * slots), say)
            first = await _beside(nc, wanted, 2 * slots, few + slots, say)
            say.line(f"{few} wait: {first}")
            second = await _beside(nc, wanted, 4 * slots + few, many + slots, say)
            say.line(f"{many} wait: {second}")
            return first, second

    looks = await site.use(job)
    names = (f"{few} wait", f"{many} wait")
    figures = [
        _grown(process, f"{process}, {many} wait ÷ {few} wait", looks, at_most(1.05))
        for process in _PROCESSES
    ]
    return _report("backlog", wanted, names, looks, figures)


class _Looks(NamedTuple):
    worker: list[float]
    bridge: list[float]

    def __str__(self) -> str:
        medians = zip(self._fields, map(statistics.median, self), strict=True)
        return ", ".join(f"{name} {bytes_ / _MB:.1f} MB" for name, bytes_ in medians)


def _some(wanted: Wanted, start: int, end: int) -> list[Article]:
    """Those of a long row of different articles."""
    row = [wanted.articles[at % len(wanted.articles)] for at in range(start, end)]
    return [
        texts.marked([one], f"{start + at}")[0] for at, one in enumerate(texts.named(row, f"memory-{start}"))
    ]


async def _beside(nc: Client, wanted: Wanted, start: int, count: int, say: Say) -> _Looks:
    """While these are on the queue. What is left of them stays there: the house goes anyway."""
    ready = texts.outgoing(_some(wanted, start, start + count), Target(RECIPE))
    await batch.publish(nc, ready, say)
    return await _look(wanted.seconds)


async def _look(seconds: float) -> _Looks:
    """Once a second."""
    found = _Looks([], [])
    for _ in range(max(3, round(seconds))):
        sizes = await _children()
        for name, values in zip(_Looks._fields, found, strict=True):
            values.append(sizes[name])
        await asyncio.sleep(1)
    return found


async def _children() -> dict[str, float]:
    """Resident bytes of this process's children, by what they are; `ps` is alike on Linux and macOS."""
    process = await asyncio.create_subprocess_exec(
        "ps", "-axo", "ppid=,rss=,command=", stdout=asyncio.subprocess.PIPE
    )
    listing, _ = await process.communicate()
    return sizes(listing.decode(errors="replace").splitlines(), os.getpid())


def sizes(lines: Sequence[str], parent: int) -> dict[str, float]:
    """From lines of parent, kilobytes and command. Raises EngineFailed when one of the processes is missing."""
    found: dict[str, float] = {}
    for line in lines:
        ppid, rss, command = line.split(maxsplit=2)
        for name, mark in _PROCESSES.items():
            if int(ppid) == parent and command.endswith(mark):
                found[name] = float(rss) * 1024
    if missing := set(_PROCESSES) - set(found):
        raise EngineFailed(f"No process of this house is its {' or '.join(sorted(missing))}.")
    return found


def _grown(process: str, name: str, looks: tuple[_Looks, _Looks], goal: Goal) -> Figure:
    before, after = (statistics.median(getattr(look, process)) for look in looks)
    return Figure(name, after / before, [], goal)


def _report(
    workload: str, wanted: Wanted, names: tuple[str, str], looks: tuple[_Looks, _Looks], figures: list[Figure]
) -> Report:
    series = [
        Series(f"{process}, {name}", "MB", [value / _MB for value in getattr(look, process)])
        for process in _PROCESSES
        for name, look in zip(names, looks, strict=True)
    ]
    return Report(
        workload, {"seconds": wanted.seconds}, series, figures, ["resident memory, looked at once a second"]
    )
