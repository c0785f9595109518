"""Log files that end: by size, by day, and all together."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from bridge.app import main as bridge_main
from schemas.runtime import log
from schemas.runtime.logfile import DAY, LogFile
from schemas.runtime.loop import BAD_SETTINGS
from worker.__main__ import main as worker_main

TOTAL = 20_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "worker.log"


@pytest.fixture
def opened(path: Path) -> Iterator[LogFile]:
    handler = LogFile(path, TOTAL, 14, captured=False)
    yield handler
    handler.close()


def say(handler: LogFile, text: str, times: int = 1) -> None:
    for _ in range(times):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, text, None, None))


def old(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.*"))


def test_a_full_one_is_put_aside_and_no_line_is_lost(opened: LogFile, path: Path) -> None:
    for number in range(100):
        say(opened, f"{number:03} {'x' * 95}")
    files = [*old(path), path]
    assert len(files) == 5
    assert all(file.stat().st_size < TOTAL / 10 + 200 for file in files)
    lines = [line[:3] for file in files for line in file.read_text().splitlines()]
    assert lines == [f"{number:03}" for number in range(100)]


def test_all_files_of_the_folder_stay_within_the_bound(opened: LogFile, path: Path) -> None:
    neighbour = path.with_name("nats-server.log.2026.01.01")
    neighbour.write_text("y" * 5000)
    os.utime(neighbour, (time.time() - 60, time.time() - 60))
    say(opened, "x" * 99, 1000)
    assert not neighbour.exists()
    files = list(path.parent.iterdir())
    assert path in files
    assert TOTAL * 0.8 < sum(file.stat().st_size for file in files) <= TOTAL * 1.1


def test_one_of_yesterday_is_put_aside_when_somebody_speaks(opened: LogFile, path: Path) -> None:
    say(opened, "yesterday")
    yesterday = time.time() - DAY
    os.utime(path, (yesterday, yesterday))
    say(opened, "today")
    assert path.read_text() == "today\n"
    assert [file.read_text() for file in old(path)] == ["yesterday\n"]


def test_those_that_are_too_old_go(path: Path, opened: LogFile) -> None:
    aged = path.with_name("worker.log.2026-01-01T00-00-00.0")
    aged.write_text("long ago\n")
    os.utime(aged, (time.time() - 15 * DAY,) * 2)
    recent = path.with_name("bridge.log.2026-01-01T00-00-00.0")
    recent.write_text("not long ago\n")
    LogFile(path, TOTAL, 14, captured=False).close()
    assert (aged.exists(), recent.exists()) == (False, True)


def test_one_that_another_put_aside_is_followed(opened: LogFile, path: Path) -> None:
    say(opened, "before")
    path.rename(path.with_name("elsewhere"))
    say(opened, "after")
    assert path.read_text() == "after\n"


SAYS = """
import logging, os, sys
from pathlib import Path
from schemas.runtime import log
log.setup("info", "auto", log.File(Path(sys.argv[1]), 20000, 14))
for number in range(40):
    log.get("x").info("hello", text="x" * 99)
os.write(2, b"a library's last words\\n")
"""


def test_what_is_written_past_the_log_is_in_it_too(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SAYS, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert len(old(path)) > 1
    assert path.read_text().endswith("a library's last words\n")


@pytest.fixture(params=[bridge_main, worker_main])
def main(request: pytest.FixtureRequest, path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A process whose log is to be there; it gives its exit code."""
    monkeypatch.setenv("NATS_MLX_CONFIG", "/dev/null")
    monkeypatch.setenv("NATS_MLX_LOG_FILE", str(path))
    monkeypatch.setattr(sys, "argv", ["worker"])
    return cast(Callable[[], int], request.param)


def test_one_that_cannot_be_is_a_bad_setting_in_one_line(
    main: Callable[[], int], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.write_text("")
    assert main() == BAD_SETTINGS
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: The log file {path} cannot be opened (")


def test_a_full_disk_is_no_bad_setting(
    main: Callable[[], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is started again may find room."""

    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log, "LogFile", no_room)
    assert main() == 1
    assert "No space left on device" in capsys.readouterr().err
