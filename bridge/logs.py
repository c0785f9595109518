"""The log files of a data folder as one stream of lines, in the order of their times."""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

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


def lines(folder: Path, *, follow: bool = False) -> Generator[Line]:
    """All that is there, and with `follow` whatever comes, without an end. No line twice: a file is opened once and
    read on from where it was, under its next name too.
    """
    logs = {process: _Log(folder, process, grows=follow) for process in _processes(folder)}
    try:
        yield from heapq.merge(*(log.more() for log in logs.values()), key=lambda line: line.at)
        while follow:
            time.sleep(_LOOK_EVERY)
            for process in _processes(folder) - logs.keys():
                logs[process] = _Log(folder, process, grows=True)
            found = [line for log in logs.values() for line in log.more()]
            yield from sorted(found, key=lambda line: line.at)
    finally:
        for log in logs.values():
            log.close()


def _processes(folder: Path) -> set[str]:
    return {file.name.partition(".log")[0] for file in folder.glob("*.log*")}


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


class _Log:
    """What one process wrote: the files that it put aside, the newest, and whichever takes its place.

    `grows`: the newest one's last line may still get its end.
    """

    def __init__(self, folder: Path, process: str, *, grows: bool) -> None:
        self._file = folder / f"{process}.log"
        self._process = process
        self._grows = grows
        self._newest = self._opened()
        # Oldest first: their names end with the moment when they were put aside.
        old = (file for file in folder.glob(f"{process}.log.*") if not self._is_newest(file))
        self._aside = sorted(old, reverse=True)
        self._rest = b""
        self._at = ""

    def more(self) -> Iterator[Line]:
        """What is there and was not told yet."""
        while self._aside:
            # It may go meanwhile.
            with contextlib.suppress(FileNotFoundError), self._aside.pop().open("rb") as old:
                yield from self._lines(old)
        yield from self._lines(self._newest, grows=self._grows)
        if self._moved():
            yield from self._lines(self._newest)  # what was written before it was put aside
            self.close()
            self._newest = self._opened()
            yield from self._lines(self._newest, grows=self._grows)

    def close(self) -> None:
        if self._newest is not None:
            self._newest.close()

    def _opened(self) -> BinaryIO | None:
        try:
            return self._file.open("rb")
        except FileNotFoundError:
            return None  # it may be on its way

    def _moved(self) -> bool:
        return self._file.exists() and not self._is_newest(self._file)

    def _is_newest(self, file: Path) -> bool:
        """Whether it is the open one, which may be put aside any moment."""
        try:
            return self._newest is not None and file.stat().st_ino == os.fstat(self._newest.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _lines(self, file: BinaryIO | None, *, grows: bool = False) -> Iterator[Line]:
        for part in file or ():
            self._rest += part
            if part.endswith(b"\n") or not grows:
                line = _line(self._process, self._rest, self._at)
                self._rest, self._at = b"", line.at
                yield line
