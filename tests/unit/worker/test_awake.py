"""When a Mac is kept awake. `caffeinate` and `pmset` are stand-ins on the path: only macOS has them."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.until import holds
from worker import awake
from worker.awake import Awake

PLUGGED = "Now drawing from 'AC Power'\\n -InternalBattery-0 (id=1) 80%; charging"
UNPLUGGED = "Now drawing from 'Battery Power'\\n -InternalBattery-0 (id=1) 80%; discharging"


class Mac:
    """A worker that has work or none, on power or not, and the `caffeinate` that it started."""

    def __init__(self, folder: Path) -> None:
        self.busy = False
        self._folder = folder
        self._calls = folder / "calls"
        self._calls.touch()
        self.plug(PLUGGED)
        self._stand_in("pmset", f"cat {shlex.quote(str(folder / 'power'))}")
        self._stand_in("caffeinate", f'echo "$$ $*" >> {shlex.quote(str(self._calls))}; exec sleep 600')
        self.awake = Awake(lambda: self.busy, look_every=0.01, grace=0.05)

    def plug(self, said: str) -> None:
        (self._folder / "power").write_text(said.replace("\\n", "\n"))

    def _stand_in(self, name: str, script: str) -> None:
        file = self._folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    @property
    def started(self) -> list[tuple[int, str]]:
        """The pids, and what they were called with."""
        rows = [line.split(" ", 1) for line in self._calls.read_text().splitlines()]
        return [(int(pid), arguments) for pid, arguments in rows]

    @property
    def held(self) -> int:
        return sum(_lives(pid) for pid, _ in self.started)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest_asyncio.fixture
async def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mac]:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(awake, "_POWER_EVERY", 0.0)
    found = Mac(tmp_path)
    found.awake.start()
    yield found
    await found.awake.stop()
    assert found.held == 0


async def test_it_is_held_while_there_is_work_and_no_longer(mac: Mac) -> None:
    mac.busy = True
    await holds(lambda: mac.held == 1)
    mac.busy = False
    await holds(lambda: mac.held == 0)
    # It goes with this process, whatever becomes of it.
    assert [arguments for _, arguments in mac.started] == [f"-i -w {os.getpid()}"]
    mac.busy = True
    await holds(lambda: mac.held == 1)
    assert len(mac.started) == 2


async def test_not_on_battery(mac: Mac) -> None:
    mac.busy = True
    await holds(lambda: mac.held == 1)
    mac.plug(UNPLUGGED)
    await holds(lambda: mac.held == 0)
    mac.plug(PLUGGED)
    await holds(lambda: mac.held == 1)


async def test_one_that_died_is_started_again(mac: Mac) -> None:
    mac.busy = True
    await holds(lambda: mac.held == 1)
    os.kill(mac.started[0][0], signal.SIGKILL)
    await holds(lambda: len(mac.started) == 2)
    await holds(lambda: mac.held == 1)


async def test_elsewhere_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    asked: list[bool] = []
    none = Awake(lambda: asked.append(True) or True)
    none.start()
    await asyncio.sleep(0)
    await none.stop()
    assert not asked
