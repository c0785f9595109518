"""Child processes with uvloop and without it, whatever is installed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BOTH = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


def environment(loop: str, folder: Path) -> dict[str, str]:
    """What a child gets to run on `loop`; `folder` is empty, and its own."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
        return {}
    (folder / "uvloop.py").write_text("raise ImportError('hidden by a test')\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}
