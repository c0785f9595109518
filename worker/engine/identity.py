"""What tells one model from another of the same name: its files, and the code that computes them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from schemas import __version__
from schemas.codec import encode


def of(*folders: Path) -> str:
    """A hash of a model's folder and its adapter's. Weights are gigabytes, so no file is read for it."""
    files = [sorted(_files(folder)) for folder in folders]
    return hashlib.sha256(encode([_code(), files])).hexdigest()


@functools.cache
def _code() -> tuple[str, ...]:
    """A release may mend how a model is computed: what was answered before it is not repeated after it."""
    return __version__, version("mlx"), version("mlx-lm")


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for file in folder.iterdir():
        if file.is_file() and not file.name.startswith("."):  # what desktops leave behind
            yield file.name, _content(file)


def _content(file: Path) -> str:
    """The hub's cache keeps a file under the hash of its content; of another, size and time have to do."""
    target = file.resolve()
    if target.parent.name == "blobs":
        return target.name
    stat = target.stat()
    return f"{stat.st_size}/{stat.st_mtime_ns}"
