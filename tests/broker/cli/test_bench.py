"""`nats-mlx bench` as a command: what needs no model, and what it says of mistakes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bridge.bench import plot
from schemas.errors import Unavailable


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge.cli", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_chunks_go_through_the_bridge_and_through_nats_alone() -> None:
    done = bench("bridge", "--clients", "3", "--chunks", "20", "--repeats", "3", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {one["name"]: len(one["values"]) for one in report["series"]} == {"bridge": 3, "nats-py": 3}
    assert report["figures"][0]["value"] > 0
    assert report["versions"]["nats-server"]
    assert "round 3 of 3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["queue", "--baselines", "z"], "There is no baseline z"),
        (["queue", "nowhere.jsonl"], "does not exist"),
        (["tune", "--widths", "1,x"], "is no list of numbers"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(arguments: list[str], sentence: str) -> None:
    done = bench(*arguments)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert not done.stdout


def test_a_plot_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"nats-mlx\[bench\]"):
        plot.need()
