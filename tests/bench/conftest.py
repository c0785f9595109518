"""The figures' harness: `nats-mlx bench` as anyone may call it, on a quiet machine, outside the test run.

    pytest tests/bench -n 0 -s --articles articles.jsonl

What was measured is printed at the end, reached or not; --repeats, --count and -k make a run shorter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bridge.bench.report import Report

Bench = Callable[..., Report]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench")
    group.addoption("--articles", help="JSON Lines; without it the samples")
    group.addoption("--count", type=int, help="of the articles; without it all of the file")
    group.addoption(
        "--repeats", type=int, default=3, help="rounds of each comparison; 3 at least for a figure"
    )
    group.addoption("--bench-model", default="starter", help="as NATS_MLX_WORKER_MODEL")


@pytest.fixture
def articles(request: pytest.FixtureRequest) -> list[str]:
    """Arguments that name them."""
    file, count = (request.config.getoption(name) for name in ("--articles", "--count"))
    return [*([file] if file else []), *(["--count", str(count)] if count else [])]


@pytest.fixture
def bench(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Bench:
    """Runs a workload; its figures are told at the end of the run."""
    repeats = str(request.config.getoption("--repeats"))
    model = str(request.config.getoption("--bench-model"))

    def run(workload: str, *arguments: str, repeated: bool = True) -> Report:
        command = [sys.executable, "-m", "bridge.cli", "bench", workload, "--json", *arguments]
        command += ["--repeats", repeats] if repeated else []
        env = os.environ | {"NATS_MLX_WORKER_MODEL": model}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=False)
        assert done.returncode == 0, "it says why on stderr: -n 0 -s shows it"
        record_property("report", done.stdout.decode())
        return msgspec.json.decode(done.stdout, type=Report)

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("figures")
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "report" and report.when == "call":
                    _tell(terminalreporter, report.nodeid.partition("::")[2], value)


def _tell(terminal: pytest.TerminalReporter, test: str, text: str) -> None:
    terminal.write_line(f"{test}:")
    found: dict[str, Any] = msgspec.json.decode(text)
    report = msgspec.convert(found, Report)
    for figure in report.figures:
        values = ", ".join(f"{value:.3g}" for value in figure.values[:10])
        goal = f" ({figure.goal})" if figure.goal else ""
        terminal.write_line(f"  {figure.name}: {figure.value:.4g}{goal}   {values}")
    for series in report.series:
        if series.values:
            terminal.write_line(f"    {series.name}: median {series.median:.4g} {series.unit}")
    terminal.write_line(f"    {found['machine']} {found['versions']}")
