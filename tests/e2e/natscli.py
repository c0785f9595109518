"""The real `nats` CLI, and the README's commands run as they stand there, on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.needed import unavailable

PACKAGE = "github.com/nats-io/natscli/nats@v0.5.1"
_MARK = "@@ command"
_ID = re.compile(r"(?:\b|(?<=_))(?:[A-Za-z0-9]{22}|[0-9a-f]{32})\b")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = re.compile(r"\d[\d.,:]*(?:(?:[mµn]?s|m|h)\b| ?[KMG]?i?B\b)?")


def find() -> str:
    """Its path; without it a desk skips, and CI fails."""
    found = shutil.which("nats") or shutil.which("nats", path=str(Path.home() / "go" / "bin"))
    if found is None:
        unavailable(f"the `nats` CLI is needed: go install {PACKAGE}")
    return found


def run(commands: list[str], env: Mapping[str, str], folder: Path, columns: int = 200) -> list[str]:
    """What each prints, typed one after another into a terminal's shell."""
    script = folder / "commands.sh"
    script.write_text("".join(f"echo '{_MARK}'\n{command}\n" for command in commands))
    text = "".join(_on_terminal(["bash", str(script)], env, folder, columns))
    return text.replace("\r\n", "\n").split(f"{_MARK}\n")[1:]


def _on_terminal(command: list[str], env: Mapping[str, str], folder: Path, columns: int) -> Iterator[str]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, columns, 0, 0))
    with (
        open(ours, "rb", buffering=0) as reading,
        subprocess.Popen(
            command, env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        ),
    ):
        os.close(theirs)
        with contextlib.suppress(OSError):  # the terminal's end, on Linux
            while data := reading.read(65536):
                yield data.decode(errors="replace")


def missing(lines: list[str], output: str) -> list[str]:
    """Those of `lines` that the output does not have, in their order; numbers and ids may be others."""
    left = iter(_plain(output).splitlines())
    return [line for line in lines if line != "..." and not any(_fits(line, one) for one in left)]


def _fits(line: str, found: str) -> bool:
    at = 0
    for piece in _plain(line).split("..."):
        at = found.find(piece.strip(), at)
        if at < 0:
            return False
        at += len(piece.strip())
    return True


def _plain(text: str) -> str:
    return re.sub(r"[ \t]+", " ", _NUMBER.sub("N", _ID.sub("ID", _STYLE.sub("", text))))
