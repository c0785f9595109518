"""`bench tune`: which batch width and which prompt chunk suit this machine and model."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from bridge.bench.figures import Figure, Series
from bridge.bench.helper import helper
from bridge.bench.report import Report
from bridge.bench.say import Say
from schemas.articles import Article
from schemas.runtime.bench import Render, Rendered, Took, Work

WIDTHS = (1, 2, 4, 8, 16, 32)
CHUNKS = (64, 128, 256, 512)
STRETCHES = (128, 256, 512, 1024)

Rates = dict[int, list[float]]


class Wanted(NamedTuple):
    articles: list[Article]
    widths: Sequence[int] = WIDTHS
    chunks: Sequence[int] = CHUNKS
    stretches: Sequence[int] = STRETCHES
    repeats: int = 1
    model: str | None = None


class Setting(NamedTuple):
    """Rows at once, tokens of a prompt's chunk, prompt tokens between two decode steps."""

    rows: int
    chunk: int
    stretch: int

    def __str__(self) -> str:
        return f"{self.rows} rows, chunk {self.chunk}, stretch {self.stretch}"


class Found(NamedTuple):
    """The best setting, and articles per minute by batch width."""

    setting: Setting
    by_width: Rates


def best(rates: Rates) -> int:
    """The smallest that is within two hundredths of the fastest: more costs memory and chat's patience."""
    medians = {size: statistics.median(values) for size, values in rates.items()}
    enough = max(medians.values()) * 0.98
    return min(size for size, rate in medians.items() if rate >= enough)


async def measure(wanted: Wanted, say: Say) -> tuple[Report, Found]:
    """One after another: the width with the rest as it is set, then chunk and stretch with what is best so far."""
    async with helper(wanted.model) as ours:
        rendered = await ours.ask(Render([]), Rendered)
    runs = _Runs(wanted, say)
    setting = Setting(rendered.slots, rendered.chunk, rendered.stretch)
    setting, by_width = await runs.vary(setting, "rows", wanted.widths)
    setting, _ = await runs.vary(setting, "chunk", wanted.chunks)
    setting, _ = await runs.vary(setting, "stretch", wanted.stretches)
    found = Found(setting, by_width)
    return _report(wanted, found, runs.series, rendered.model), found


class _Runs:
    """What was tried is not tried again: the second dimension begins where the first one ended."""

    def __init__(self, wanted: Wanted, say: Say) -> None:
        self._wanted = wanted
        self._say = say
        self._tried: dict[Setting, list[float]] = {}

    async def vary(self, setting: Setting, name: str, sizes: Sequence[int]) -> tuple[Setting, Rates]:
        """The setting with the best of these sizes, and the rate of each."""
        rates = {size: await self._rates(setting._replace(**{name: size})) for size in sizes}
        return setting._replace(**{name: best(rates)}), rates

    @property
    def series(self) -> list[Series]:
        return [Series(str(setting), "articles/min", rates) for setting, rates in self._tried.items()]

    async def _rates(self, setting: Setting) -> list[float]:
        if setting not in self._tried:
            self._tried[setting] = [await self._rate(setting) for _ in range(self._wanted.repeats)]
        return self._tried[setting]

    async def _rate(self, setting: Setting) -> float:
        # A process for each: no run finds what another has left in memory.
        async with helper(self._wanted.model) as ours:
            took = await ours.ask(Work(self._wanted.articles, *setting), Took)
        rate = len(self._wanted.articles) / took.seconds * 60
        self._say.line(f"{setting}: {rate:.2f} articles/min")
        return rate


def _report(wanted: Wanted, found: Found, series: list[Series], model: str) -> Report:
    rows, chunk, stretch = found.setting
    figures = [
        Figure("best batch width: slots", rows, []),
        Figure("best chunk of a prompt: prefill_chunk", chunk, []),
        Figure("best stretch of prompts: prefill_stretch", stretch, []),
    ]
    notes = [
        f"set them: NATS_MLX_WORKER_SLOTS={rows} NATS_MLX_WORKER_PREFILL_CHUNK={chunk}"
        f" NATS_MLX_WORKER_PREFILL_STRETCH={stretch}, or the same under [worker] in the settings file",
        "a chat that comes in waits for a chunk: the bench does not feel that, `bench mixed` does",
    ]
    settings = {"articles": len(wanted.articles), "repeats": wanted.repeats, "model": model}
    return Report("tune", settings, series, figures, notes)
