"""Other people's programs as their users run them: in a process and a folder of their own, with JSON to say."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import platformdirs
from filelock import FileLock


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


@cache
def python(packages: tuple[str, ...]) -> Path | str:
    """A Python with these packages and none of our process's warnings and versions, or why there is none.

    Making one takes pip a minute: it is kept in the user's cache by its pins and its maker, for other runs and those
    beside. Who is ended halfway leaves no mark, and the next one begins anew.
    """
    pins = "\n".join([sys.version, sys.base_prefix, *packages])
    kept = platformdirs.user_cache_path("nats-mlx") / "clients"
    folder = kept / hashlib.sha256(pins.encode()).hexdigest()[:16]
    mark = folder / "made"
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not mark.exists():
            shutil.rmtree(folder, ignore_errors=True)
            ours = [sys.executable, "-m"]
            run([*ours, "venv", "--without-pip", str(folder)], cwd=kept, seconds=60).check_returncode()
            pip = [*ours, "pip", "--python", str(folder / "bin/python"), "--disable-pip-version-check"]
            try:
                done = run([*pip, "install", "--quiet", "--no-compile", *packages], cwd=kept, seconds=500)
            except subprocess.TimeoutExpired:
                return f"pip took too long to install {packages}."
            if done.returncode:
                return f"pip could not install {packages}: {done.stderr}"
            mark.touch()
    return folder / "bin/python"
