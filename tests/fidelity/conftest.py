"""What a measurement found is told at the end of the run, be it in one process or in several."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from tests.fidelity.reference import Reference
from worker.engine import starter


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pairs", type=int, default=1000, help="how many pairs of schema and prompt to try")


@pytest.fixture(scope="session")
def pairs(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--pairs", default=1000))


@pytest.fixture(scope="session")
def folder() -> Path:
    return starter.fetch(platformdirs.user_cache_path("nats-mlx"))


@pytest.fixture(scope="session")
def reference(folder: Path) -> Reference:
    return Reference(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("fidelity")
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "fidelity" and report.when == "call":
                    terminalreporter.write_line(f"{report.nodeid.partition('::')[2]}: {value}")
