"""The README's blocks for other shapes of the server, as files: what it shows is what the tests run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bridge.up.programs import find_conf

_README = Path(__file__).parents[3] / "README.md"
_BLOCK = re.compile(r"^```\w+\n(# (\S+): .*?)^```$", re.MULTILINE | re.DOTALL)


def block(name: str) -> str:
    """The one whose first line names this file."""
    blocks = {found: text for text, found in _BLOCK.findall(_README.read_text("utf-8"))}
    return blocks[name]


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
