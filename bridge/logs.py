"""The log files of a data folder as one stream of lines, in the order of their times."""

from __future__ import annotations

import heapq
import os
import re
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from schemas.subjects import id_token

_LOOK_EVERY = 0.3
_LEVELS = ("debug", "info", "warning", "error", "critical")
# nats-server's lines, in UTC as nats.conf has it, and its levels.
_SERVERS = re.compile(r"\[\d+\] (\d{4}/\d\d/\d\d) (\d\d:\d\d:\d\d\.\d+) \[([A-Z]{3})\] ")
_SERVER_LEVELS = {"INF": "info", "WRN": "warning", "ERR": "error", "FTL": "critical"}
# What names a request or an article in a line.
_IDS = ("request_id", "id", "article", "subject", "batch")


class Line(NamedTuple):
    """One line of a process's log. `fields` is empty for what is no JSON: a traceback, the server's own lines."""

    at: str
    process: str
    text: str
    fields: dict[str, Any]


class Wanted(NamedTuple):
    """Which lines are meant; None is any."""

    request: str | None = None
    trace: str | None = None
    level: str | None = None

    def takes(self, line: Line) -> bool:
        fields = line.fields
        if self.request is not None and not self._is_of(fields, self.request):
            return False
        if self.trace is not None and fields.get("trace_id") != self.trace:
            return False
        return self.level is None or _rank(fields.get("level")) >= _rank(self.level)

    @staticmethod
    def _is_of(fields: Mapping[str, object], request: str) -> bool:
        """By the id that somebody gave it, or by what stands for that in its subject."""
        wanted = {request, id_token(request)}
        return any(_names(fields.get(name), one) for name in _IDS for one in wanted)


def _names(value: object, wanted: str) -> bool:
    """A subject ends with its article's id, and a batch's line begins with its batch's."""
    return isinstance(value, str) and (
        value == wanted or value.endswith(f".{wanted}") or value.startswith(f"{wanted}.")
    )


def _rank(level: object) -> int:
    return _LEVELS.index(level) if level in _LEVELS else -1


def read(folder: Path) -> Iterator[Line]:
    """All that is there, old files included."""
    processes = sorted({file.name.partition(".log")[0] for file in folder.glob("*.log*")})
    return heapq.merge(*(_of(folder, process) for process in processes), key=lambda line: line.at)


def follow(folder: Path) -> Generator[Line]:
    """What comes from now on, which is the moment of the call; never ends."""
    return _follow(folder, {file: _Tail(file, at_end=True) for file in folder.glob("*.log")})


def _follow(folder: Path, tails: dict[Path, _Tail]) -> Generator[Line]:
    try:
        while True:
            for file in folder.glob("*.log"):
                if file not in tails:
                    tails[file] = _Tail(file, at_end=False)
            found = [line for tail in tails.values() for line in tail.more()]
            yield from sorted(found, key=lambda line: line.at)
            time.sleep(_LOOK_EVERY)
    finally:
        for tail in tails.values():
            tail.close()


def _of(folder: Path, process: str) -> Iterator[Line]:
    """Oldest file first: their names end with the moment when they were put aside, the newest has none."""
    old = sorted(folder.glob(f"{process}.log.*"))
    at = ""
    for file in [*old, folder / f"{process}.log"]:
        try:
            with file.open("rb") as lines:
                for text in lines:
                    line = _line(process, text, at)
                    at = line.at
                    yield line
        except FileNotFoundError:
            continue  # it went in this moment


def _line(process: str, raw: bytes, before: str) -> Line:
    """`before` is the time of what has none of its own."""
    text = raw.decode(errors="replace").rstrip("\r\n")
    if server := _SERVERS.match(text):
        day, moment, level = server.groups()
        fields = {"level": _SERVER_LEVELS.get(level, "debug")}
        return Line(f"{day.replace('/', '-')}T{moment}Z", process, text, fields)
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return Line(before, process, text, {})
    at = fields.get("timestamp")
    return Line(at if isinstance(at, str) else before, process, text, fields)


class _Tail:
    """Reads on in a file, and in the one that takes its place."""

    def __init__(self, file: Path, *, at_end: bool) -> None:
        self._file = file
        self._process = file.name.partition(".log")[0]
        self._open = file.open("rb")
        if at_end:
            self._open.seek(0, 2)
        self._rest = b""
        self._at = ""

    def more(self) -> Iterator[Line]:
        yield from self._lines()
        if self._moved():
            yield from self._lines()  # what was written before it was put aside
            self._open.close()
            self._open = self._file.open("rb")
            yield from self._lines()

    def close(self) -> None:
        self._open.close()

    def _moved(self) -> bool:
        try:
            return self._file.stat().st_ino != os.fstat(self._open.fileno()).st_ino
        except FileNotFoundError:
            return False  # the next one is on its way

    def _lines(self) -> Iterator[Line]:
        *whole, self._rest = (self._rest + self._open.read()).split(b"\n")
        for raw in whole:
            line = _line(self._process, raw, self._at)
            self._at = line.at
            yield line
