"""Articles per minute against batch width, as a picture, where matplotlib is installed."""

from __future__ import annotations

import statistics
from importlib.util import find_spec
from pathlib import Path

from bridge.bench.report import Report
from bridge.bench.tune import Found
from schemas.errors import Unavailable


def need() -> None:
    """Raises Unavailable without matplotlib."""
    if find_spec("matplotlib") is None:
        raise Unavailable(
            "A plot needs matplotlib: `pip install 'nats-mlx[bench]'`, or leave --plot out for the table alone."
        )


def draw(file: Path, report: Report, found: Found) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - in no installation but that of a benchmark

    picture = Figure(figsize=(7, 4), layout="constrained")
    axes = picture.subplots()
    widths = sorted(found.by_width)
    axes.plot(widths, [statistics.median(found.by_width[width]) for width in widths], marker="o")
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, list(map(str, widths)))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("articles computed together")
    axes.set_ylabel("articles per minute")
    axes.set_title(
        f"{report.settings['model']}, {report.machine.cpu}, {report.machine.cores} cores", fontsize=10
    )
    axes.grid(alpha=0.3)
    picture.savefig(file, dpi=150)
