"""The README's blocks for other shapes of the server, as files: what it shows is what the tests run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bridge.up.programs import find_conf
from tests import readme


def block(name: str) -> str:
    """The one whose first line names this file."""
    return next(one.text for one in readme.blocks() if one.text.startswith(f"# {name}: "))


def lay_out(folder: Path, name: str, **changes: str) -> Path:
    """The block as a file beside a copy of nats.conf, with other addresses than the README's."""
    text = block(name)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    shutil.copy(find_conf(), folder / "nats.conf")
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def make_certificates(folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", block("certificates.sh")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
