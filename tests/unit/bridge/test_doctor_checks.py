"""The doctor's checks, one thing wrong at a time."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.client.examine import Account, Stamp
from bridge.doctor import house, machine, ports
from bridge.doctor.finding import Finding, Grade
from bridge.settings import Settings
from schemas import streams

_NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
_GB = 10**9


def _report(**values: Any) -> machine.Report:
    sizes = {"weights": 4 * _GB, "kv": 2 * _GB, "prefixes": _GB, "limit": 12 * _GB, "machine": 16 * _GB}
    return machine.Report(**({"model": "m", "source": "x/m", "cache": "/tmp"} | sizes | values))


def _seconds_off(seconds: float) -> Finding:
    return house.clock(Stamp(_NOW, _NOW + dt.timedelta(seconds=seconds), _NOW))


@pytest.mark.parametrize(
    ("check", "grade", "word"),
    [
        (lambda: machine.model(_report()), Grade.OK, ""),
        (lambda: machine.model(_report(weights=None)), Grade.FAILED, "model fetch x/m"),
        (lambda: machine.memory(_report()), Grade.OK, ""),
        (lambda: machine.memory(_report(weights=None)), Grade.SKIPPED, ""),
        (lambda: machine.memory(_report(weights=9 * _GB)), Grade.OK, ""),
        (lambda: machine.memory(_report(weights=10 * _GB)), Grade.WARNING, "prefix_bytes"),
        (lambda: machine.memory(_report(weights=11 * _GB)), Grade.FAILED, "kv_bytes"),
        (lambda: machine.memory(_report(weights=13 * _GB)), Grade.FAILED, "smaller model"),
        (lambda: machine.memory(_report(limit=20 * _GB)), Grade.WARNING, "memory_limit"),
        (lambda: machine.sleep(lambda: None), Grade.SKIPPED, ""),
        (lambda: machine.sleep(lambda: " displaysleep 2\n sleep                1\n"), Grade.WARNING, "pmset"),
        (lambda: machine.sleep(lambda: " displaysleep 2\n sleep                0\n"), Grade.OK, ""),
        (lambda: machine.sleep(lambda: ""), Grade.WARNING, "Settings"),
        (lambda: house.server("x", "2.15.1", 1024**2), Grade.OK, ""),
        (lambda: house.server("x", "2.15.1", 1024), Grade.FAILED, "max_payload"),
        (lambda: house.jetstream(None), Grade.FAILED, "nats.conf"),
        (lambda: house.jetstream(Account(95, 100)), Grade.WARNING, "limit"),
        (lambda: house.jetstream(Account(95, None)), Grade.OK, ""),
        (lambda: house.layout("ARTICLES", streams.ARTICLES, None), Grade.FAILED, "nats-mlx up"),
        (lambda: house.consumer(streams.MOVER, None), Grade.FAILED, "nats-mlx up"),
        (lambda: house.workers([])[0], Grade.FAILED, "nats-mlx up"),
        (lambda: house.clock(None), Grade.SKIPPED, ""),
        (lambda: _seconds_off(1), Grade.OK, ""),
        (lambda: _seconds_off(90), Grade.WARNING, "NTP"),
        (lambda: _seconds_off(-90), Grade.WARNING, "NTP"),
    ],
)
def test_a_check(check: Callable[[], Finding], grade: Grade, word: str) -> None:
    finding = check()
    assert finding.grade is grade, finding
    assert word in (finding.fix or "")
    assert bool(finding.fix) == (grade in (Grade.WARNING, Grade.FAILED))


@pytest.mark.parametrize(
    ("free", "grade"), [(2**40, Grade.OK), (2**30, Grade.WARNING), (2**20, Grade.FAILED)]
)
def test_a_disk(free: int, grade: Grade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is not made yet."""
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage if place == tmp_path else None)
    assert machine.disk("disk", tmp_path / "a" / "b").grade is grade
    monkeypatch.setattr("os.access", lambda place, mode: (place, mode) != (tmp_path, os.W_OK))
    assert machine.disk("disk", tmp_path / "a" / "b").grade is Grade.FAILED


def test_a_broken_keys_file_and_an_open_bridge(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    assert machine.keys_file(settings).grade is Grade.OK
    assert machine.keys_file(Settings.load(data_dir=tmp_path, host="0.0.0.0")).grade is Grade.FAILED
    (tmp_path / "keys.json").write_text("[")
    assert machine.keys_file(settings).grade is Grade.FAILED


def test_a_port_that_something_else_uses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = ports.server(f"nats://127.0.0.1:{port}")
        assert (taken.grade, taken.fix) == (
            Grade.FAILED,
            "stop what uses it, or choose another with --nats-port",
        )
    assert ports.server(f"nats://127.0.0.1:{port}").grade is Grade.OK
    assert ports.server("nats://nas:4222").grade is Grade.SKIPPED
