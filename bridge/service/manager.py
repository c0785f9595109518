"""The system's manager of services as it is used here, and what it says of one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import msgspec

from bridge import private
from bridge.service.task import Name, Task
from schemas.errors import Unavailable

_PATIENCE = 120.0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Of one service. `exit_code` is that of its last end, None while it has not ended yet."""

    name: Name
    installed: bool
    running: bool = False
    pid: int | None = None
    exit_code: int | None = None
    file: str


class Manager(Protocol):
    """Each raises Unavailable with what the manager said, and what to do."""

    def file(self, name: Name) -> Path: ...

    def install(self, task: Task) -> None:
        """Write its file and (re)start it; one that is there is brought up to date."""

    def uninstall(self, name: Name) -> bool:
        """Stop it and remove its file; whether there was one."""

    def state(self, name: Name) -> State: ...


class Said(msgspec.Struct, frozen=True):
    """What a command of the manager ended with."""

    code: int
    text: str


def ask(*command: str) -> Said:
    """Run a command of the manager. Raises Unavailable where there is none, or no answer."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"There is no {command[0]} on this machine: start `nats-mlx up` by its own means.")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`{' '.join(command)}` does not answer; try again.") from None
    return Said(done.returncode, (done.stderr.strip() or done.stdout.strip()))


def write(file: Path, text: str) -> None:
    """For its owner alone: settings may hold passwords. Raises Unavailable."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        private.write(file, text)
    except OSError as error:
        raise Unavailable(f"{file} cannot be written: {error.strerror}.") from None
