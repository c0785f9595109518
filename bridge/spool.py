"""A folder in which a crawler leaves files: each is taken once it rests, and ends in `done` or in `failed`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.errors import Unavailable

_SUFFIXES = {".jsonl", ".ndjson"}
_State = tuple[int, int, int]  # which file it is, its size, its last change


def _state(known: os.stat_result) -> _State:
    return known.st_ino, known.st_size, known.st_mtime_ns


class Spool:
    """Exclusive use of the folder, from construction until close(). Raises Unavailable when another has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[Path, _State] = {}
        for name in ("done", "failed"):
            (path / name).mkdir(exist_ok=True)
        self._lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Unavailable(f"Another `nats-mlx publish --watch` is at work in {path}.") from None

    def resting(self) -> list[Path]:
        """Files that have not changed since the last call, the oldest first."""
        now = dict(self._files())
        found = [file for file, state in now.items() if self._seen.get(file) == state]
        self._seen = now
        return sorted(found, key=lambda file: (now[file][2], file.name))

    def done(self, file: Path) -> bool:
        """Whether it is away; one that is not what was taken any more stays, for it is to be read again."""
        if not self._as_taken(file):
            return False
        file.replace(self._place("done", file.name))
        return True

    def failed(self, file: Path, complaints: Iterable[str]) -> bool:
        """As done(), with what is wrong beside it, in `<name>.errors`."""
        if not self._as_taken(file):
            return False
        place = self._place("failed", file.name)
        errors = place.with_name(f"{place.name}.errors")
        errors.write_text("".join(f"{complaint}\n" for complaint in complaints), encoding="utf-8")
        file.replace(place)
        return True

    def _as_taken(self, file: Path) -> bool:
        try:
            return _state(file.stat()) == self._seen.get(file)
        except FileNotFoundError:
            return False

    def close(self) -> None:
        os.close(self._lock)

    def _files(self) -> Iterator[tuple[Path, _State]]:
        for entry in os.scandir(self._path):
            file = Path(entry.path)
            if file.suffix in _SUFFIXES and not file.name.startswith(".") and entry.is_file():
                yield file, _state(entry.stat())

    def _place(self, folder: str, name: str) -> Path:
        """Where nothing is yet: crawlers use names again."""
        place, number = self._path / folder / name, 1
        while place.exists():
            number += 1
            place = self._path / folder / f"{name}.{number}"
        return place
