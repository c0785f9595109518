"""`bench memory`: whether processes grow with the articles that they have done, or that wait for them."""

from __future__ import annotations

import asyncio
import statistics
from typing import NamedTuple

from bridge.bench import batch, processes, texts
from bridge.bench.figures import Figure, Goal, Series, at_most
from bridge.bench.house import House, Site
from bridge.bench.processes import MB, NAMES
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.client import Client
from bridge.client.articles import Target
from schemas.articles import Article
from schemas.runtime import presence
from schemas.runtime.bench import RECIPE


class Wanted(NamedTuple):
    """Articles done before the first and before the second look; articles that wait at each; seconds of a look."""

    articles: list[Article]
    done: tuple[int, int] = (200, 1000)
    waiting: tuple[int, int] = (10, 10_000)
    seconds: float = 20.0


async def worn(wanted: Wanted, site: Site, say: Say) -> Report:
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
    return _report("worn", wanted, names, looks, figures)


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
        _grown(process, f"{process}, {many} wait ÷ {few} wait", looks, at_most(1.05)) for process in NAMES
    ]
    return _report("backlog", wanted, names, looks, figures)


class _Looks(NamedTuple):
    worker: list[float]
    bridge: list[float]

    def __str__(self) -> str:
        medians = zip(self._fields, map(statistics.median, self), strict=True)
        return ", ".join(f"{name} {bytes_ / MB:.1f} MB" for name, bytes_ in medians)


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
        seen = await processes.look()
        for name, values in zip(_Looks._fields, found, strict=True):
            values.append(seen[name].size)
        await asyncio.sleep(1)
    return found


def _grown(process: str, name: str, looks: tuple[_Looks, _Looks], goal: Goal) -> Figure:
    before, after = (statistics.median(getattr(look, process)) for look in looks)
    return Figure(name, after / before, [], goal)


def _report(
    workload: str, wanted: Wanted, names: tuple[str, str], looks: tuple[_Looks, _Looks], figures: list[Figure]
) -> Report:
    series = [
        Series(f"{process}, {name}", "MB", [value / MB for value in getattr(look, process)])
        for process in NAMES
        for name, look in zip(names, looks, strict=True)
    ]
    return Report(
        workload, {"seconds": wanted.seconds}, series, figures, ["resident memory, looked at once a second"]
    )
