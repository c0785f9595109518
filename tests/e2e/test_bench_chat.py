"""`nats-mlx bench chat`: the helper is the house's only worker, so that one engine is asked in all three ways."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import environment


def test_one_chat_goes_all_three_ways(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bridge.cli",
        "bench",
        "chat",
        "--rounds",
        "2",
        "--tokens",
        "4",
        "--json",
    ]
    done = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    ways = ("in process", "NATS", "bridge")
    assert {one["name"]: len(one["values"]) for one in report["series"]} == {
        f"{way}: {measure}": 2 for measure in ("wall", "first token") for way in ways
    }
    for first, wall in zip(report["series"][3:], report["series"][:3], strict=True):
        assert all(0 < a < b for a, b in zip(first["values"], wall["values"], strict=True))
