"""Where figures come from: without machine and versions beside them they say nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec

from bridge.up.programs import find_server

_PACKAGES = ("nats-mlx", "mlx", "mlx-lm", "llguidance", "nats-py", "cmeel-openblas", "uvloop")


class Machine(msgspec.Struct, frozen=True):
    """`cores` are those that this process may use; `load` is the system's load as the run begins."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    load: float


def machine() -> Machine:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        _cpu(), _cores(), round(memory / 2**30, 1), platform.platform(), round(os.getloadavg()[0], 2)
    )


def versions() -> dict[str, str]:
    """Of all that takes part, as far as it is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found | {
        "nats-server": _said(str(find_server()), "--version").rpartition(" ")[2].removeprefix("v")
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    """The name that people know; each system keeps it elsewhere."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return _said("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()


def _said(*command: str) -> str:
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""
