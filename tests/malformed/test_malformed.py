"""Malformed requests on every way in: none ends in a 5xx, a hang or a restart.

Fewer in a run of everything; by hand `pytest -n 0 tests/malformed --requests 10000 --nonsense 1`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.malformed.house import opened
from tests.malformed.throw import Thrower

_REQUESTS, _SEED = 300, 1


@pytest.mark.timeout(3600)
async def test_no_malformed_request_ends_in_a_5xx_a_hang_or_a_restart(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    requests = request.config.getoption("--requests", None) or _REQUESTS
    seed = request.config.getoption("--nonsense", None) or _SEED
    async with opened(tmp_path) as house:
        started = time.monotonic()
        tally = await Thrower(house, seed).run(requests)
        seconds = time.monotonic() - started
        rows = [f"  {what}: {count}" for what, count in sorted(tally.counts.items())]
        head = f"{requests} malformed requests, seed {seed}: {seconds:.0f} s, {len(tally.bad)} bad"
        longest = f"  the slowest took {tally.slowest:.1f} s"
        sys.stdout.write("\n".join(["", head, longest, *rows, *tally.bad[:20], ""]))
        alive = {name: process.alive for name, process in house.processes.items()}
        faults = {name: process.faults for name, process in house.processes.items() if process.faults}
    assert tally.bad == []
    assert all(alive.values()), alive
    assert faults == {}
