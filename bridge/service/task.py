"""What is to run at login, and with which settings: those of the shell that installs it come along."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from bridge import keys
from bridge.settings import Settings
from bridge.up.programs import need_worker, python
from schemas.errors import BadSettings, Unavailable
from schemas.runtime.loop import BAD_SETTINGS, CANNOT_RUN

Name = Literal["up", "worker", "bridge"]
NAMES: tuple[Name, ...] = get_args(Name)

# `up` ends three processes in order, each within its own time.
ENDS_IN = 160
# A start that failed is tried again after so many seconds.
AGAIN_IN = 30
# Exit codes after which another start would end in the same way: wrong settings, streams of a newer version.
FINAL = (BAD_SETTINGS, CANNOT_RUN)
_TAKEN_ALONG = ("NATS_", "HF_", "OTEL_", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
_PATIENCE = 60.0


class Task(NamedTuple):
    """`env` may hold passwords: whatever it is written to belongs to its owner alone."""

    name: Name
    command: list[str]
    env: dict[str, str]
    folder: Path
    log: Path


def task(name: Name, environment: Mapping[str, str], arguments: list[str]) -> Task:
    """Checked before anything is installed. Raises BadSettings, and Unavailable without the worker's packages."""
    settings = Settings.load()
    folder = settings.data_dir.absolute()
    log = (settings.log_file or folder / "logs" / f"{name}.log").absolute()
    env = {key: value for key, value in environment.items() if key.startswith(_TAKEN_ALONG)}
    env |= {"NATS_MLX_DATA_DIR": str(folder), "NATS_MLX_LOG_FILE": str(log)}
    if name != "bridge":
        need_worker()
        _check_worker()
    if name != "worker":
        keys.need(settings)
    module = {"up": ["bridge.cli", "up"], "worker": ["worker"], "bridge": ["bridge.app"]}
    return Task(name, python(*module[name], *arguments), env, folder, log)


def _check_worker() -> None:
    """Its settings are its own to read."""
    try:
        done = subprocess.run(
            python("worker", "doctor"), capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            "The worker does not say whether its settings are right; try `nats-mlx doctor`."
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BadSettings(lines[-1].removeprefix("error: "))
