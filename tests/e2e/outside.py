"""Other people's programs as their users run them: in a process and a folder of their own, with JSON to say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def run(command: Sequence[str | Path], *, cwd: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """Without what OpenAI's SDKs and those that build on them read by themselves."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def checked(command: Sequence[str | Path], *, cwd: Path) -> dict[str, str | None]:
    """Each check's reason to fail, or None, of a program that prints a line of JSON a check."""
    done = run(command, cwd=cwd, seconds=250)
    assert done.returncode == 0, done.stderr
    found = map(json.loads, done.stdout.splitlines())
    return {check["name"]: check["error"] for check in found}
