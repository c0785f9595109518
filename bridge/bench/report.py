"""What a workload returns: figures, the measures they are made of, and where they were taken."""

from __future__ import annotations

from typing import Any

import msgspec

from bridge.bench.figures import Figure, Series
from bridge.bench.machine import Machine, machine, versions


class Report(msgspec.Struct, frozen=True):
    """`settings` is what was asked for, `notes` what one must know to read the figures."""

    workload: str
    settings: dict[str, Any]
    series: list[Series]
    figures: list[Figure]
    notes: list[str]
    machine: Machine = msgspec.field(default_factory=machine)
    versions: dict[str, str] = msgspec.field(default_factory=versions)

    def figure(self, name: str) -> Figure:
        return next(figure for figure in self.figures if figure.name == name)
