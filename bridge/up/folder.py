"""The data folder of one `up`: taken with a lock, and the note by which other commands find it running."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import msgspec

from schemas.codec import encode
from schemas.errors import Unavailable

# A killed `up` leaves its guard a moment to end the children; the guard holds the lock until then.
_PATIENCE = 5.0


class Running(msgspec.Struct, frozen=True):
    """`up.json`: where a running `up` is."""

    pid: int
    nats_url: str
    bridge_url: str


def running(data_dir: Path) -> Running | None:
    """The `up` that runs on this folder now, if one does."""
    try:
        note = msgspec.json.decode((data_dir / "up.json").read_bytes(), type=Running)
        os.kill(note.pid, 0)  # a guard holds the lock a moment longer
        return note if _taken(data_dir) else None
    except (OSError, msgspec.DecodeError):
        return None


def _taken(data_dir: Path) -> bool:
    """The note of one that died may name a pid that is another's by now; a lock has no past."""
    with (data_dir / "up.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Folder:
    """Exclusive use of the data folder, from construction until close()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.logs.mkdir(exist_ok=True)
            self.lock = os.open(path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The data folder {path} cannot be used ({error.strerror}): choose another with --data-dir."
            ) from None
        try:
            self._take()
        except BaseException:
            os.close(self.lock)
            raise

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def store(self) -> Path:
        return self.path / "nats"

    @property
    def contexts(self) -> Path:
        return self.path / "contexts"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def announce(self, note: Running) -> None:
        draft = self.path / "up.json.new"
        draft.write_bytes(encode(note) + b"\n")
        draft.replace(self.path / "up.json")

    def close(self) -> None:
        (self.path / "up.json").unlink(missing_ok=True)
        os.close(self.lock)

    def _take(self) -> None:
        until = time.monotonic() + _PATIENCE
        while not self._locked():
            other = running(self.path)
            if other is not None or time.monotonic() > until:
                who = f" (pid {other.pid})" if other else ""
                raise Unavailable(
                    f"Another `nats-mlx up`{who} uses {self.path}: stop it, or choose another --data-dir."
                )
            time.sleep(0.05)

    def _locked(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
