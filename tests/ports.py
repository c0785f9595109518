"""Ports for servers that must be told theirs, where no test can read which one the system gave."""

from __future__ import annotations

import os
import random
import socket

# Below those that the system gives to whoever asks for any: else another test's server could get one in the moment
# between our choice and its use. Each process of a parallel run has some of its own.
_FIRST, _EACH, _PROCESSES = 20_000, 750, 16
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
_ours = list(range(_FIRST + _process * _EACH, _FIRST + (_process + 1) * _EACH))
random.SystemRandom().shuffle(_ours)  # two runs on one machine


def free_ports(count: int) -> list[int]:
    """Different ones, free in this moment; none is given twice."""
    return [free_port() for _ in range(count)]


def free_port() -> int:
    while True:
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port := _ours.pop()))
            except OSError:
                continue
            return port
