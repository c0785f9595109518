"""Checks of this machine: its disk, its model and memory, the keys file, and whether it falls asleep."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from bridge import keys
from bridge.doctor.finding import Finding, failed, ok, skipped, warning
from bridge.settings import Settings
from bridge.up.programs import need_worker, python
from schemas.errors import Unavailable

# What a day of articles and logs takes, and what nothing can be stored without.
_LITTLE, _NONE = 2 * 1024**3, 64 * 1024**2


class Report(msgspec.Struct, frozen=True):
    """What `python -m worker doctor` says; sizes in bytes. `weights` is None when the model is not here."""

    model: str
    source: str
    weights: int | None
    kv: int
    prefixes: int
    limit: int
    machine: int
    cache: str


def report() -> Report | Finding:
    """The worker's word on its model, or why there is none."""
    try:
        need_worker()
    except Unavailable:
        return skipped("model", "the worker's packages are not installed here")
    ran = subprocess.run(
        python("worker", "doctor"), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1].removeprefix("error: ")
        return failed("model", f"the worker cannot say which model it has: {said}", "correct its settings")
    return msgspec.json.decode(ran.stdout, type=Report)


def model(report: Report) -> Finding:
    if report.weights is None:
        return failed(
            "model", f"{report.model} is not on this disk", f"`nats-mlx model fetch {report.source}` gets it"
        )
    return ok("model", f"{report.model} is on this disk, {_size(report.weights)}")


def memory(report: Report) -> Finding:
    if report.weights is None:
        return skipped("memory", "there is no model to be held")
    needed = report.weights + report.kv
    said = (
        f"weights {_size(report.weights)}, running requests {_size(report.kv)} and kept prefixes"
        f" {_size(report.prefixes)}, limit {_size(report.limit)} of {_size(report.machine)}"
    )
    if report.weights > report.limit:
        return failed("memory", said, "choose a smaller model, or raise memory_limit of [worker]")
    if needed > report.limit:
        return failed("memory", said, "lower kv_bytes of [worker], or choose a smaller model")
    if needed + report.prefixes > report.limit:
        return warning(
            "memory", f"{said}: fewer prefixes are kept", "lower kv_bytes or prefix_bytes of [worker]"
        )
    if report.limit > report.machine:
        return warning("memory", said, "lower memory_limit of [worker]: the machine has less")
    return ok("memory", said)


def disk(name: str, folder: Path) -> Finding:
    """Of the nearest folder above that is there: a first start makes the rest."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return failed(name, f"{folder} cannot be looked at ({error.strerror})", "choose another folder")
    if not os.access(there, os.W_OK):
        return failed(name, f"{there} cannot be written", "choose another folder, or make it writable")
    said = f"{_size(free)} free for {folder}"
    if free < _NONE:
        return failed(name, said, "make room: nothing can be stored")
    if free < _LITTLE:
        return warning(name, said, "make room before it fills")
    return ok(name, said)


def keys_file(settings: Settings) -> Finding:
    file = keys.path(settings)
    try:
        count = len(keys.KeyFile(file).all())
    except Unavailable as error:
        return failed("keys", error.message, f"move {file} away and make keys with `nats-mlx keys new`")
    if count == 0 and not keys.is_loopback(settings.host):
        return failed(
            "keys",
            f"none, and the bridge is open at {settings.host}",
            "`nats-mlx keys new NAME --scope chat`",
        )
    if count and file.stat().st_mode & 0o077:
        return warning("keys", f"others on this machine may read {file}", f"`chmod 600 {file}`")
    return ok("keys", f"{count} in {file}" if count else "none, and none needed on this machine alone")


def pmset() -> str | None:
    """What macOS says of its power settings in force; None elsewhere."""
    if platform.system() != "Darwin":
        return None
    return subprocess.run(["pmset", "-g"], capture_output=True, text=True, check=False).stdout


def sleep(settings: Callable[[], str | None] = pmset) -> Finding:
    said = settings()
    if said is None:
        return skipped("sleep", "only macOS is asked")
    found = re.search(r"^\s*sleep\s+(\d+)", said, re.MULTILINE)
    if found is None:
        return warning(
            "sleep", "pmset does not say when this Mac sleeps", "look into System Settings, Battery"
        )
    minutes = int(found[1])
    if minutes:
        return warning(
            "sleep",
            f"this Mac sleeps after {minutes} min; work then waits",
            "`sudo pmset -c sleep 0` keeps it awake while on power",
        )
    return ok("sleep", "this Mac does not sleep by itself")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
