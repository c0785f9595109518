"""Ends the children of an `up` that was killed: nothing else can, and an orphan would hold ports and memory.

It runs as a script of its own and waits for the end of its input, which the kernel brings about however
`up` dies. It works alike on Linux and macOS, and needs nothing of the children.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable


class Guard:
    """The handle that `up` has of its guard. `keep` is a descriptor that stays open until the guard ends."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._watched: set[int] = set()
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def end(self) -> int:
        """A descriptor that can be read once the guard is dead."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def watch(self, pid: int) -> None:
        self._watched.add(pid)
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        self._watched.discard(pid)
        self._tell(f"-{pid}\n")

    def replace(self) -> None:
        """Another for one that died. Raises OSError when there can be none now."""
        fresh = self._start()
        self.close()
        self._process = fresh
        for pid in self._watched:
            self._tell(f"+{pid}\n")

    def close(self) -> None:
        """Its input ends: it kills what it still watches, which after an orderly stop is nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -I -S: no site packages, no user's startup code; it must be small and start quickly.
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,  # it says nothing: its end is how its death is seen
            stderr=subprocess.DEVNULL,
            pass_fds=(self._keep,),
            start_new_session=True,
        )

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        # A guard that someone killed must not take the service with it; the next one hears what it missed.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    """Each child leads a process group of its own, so what it started goes with it."""
    # macOS says "not permitted" of a group whose members are all dead already.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _main(lines: Iterable[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: set[int] = set()
    for line in lines:
        (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
    for pid in watched:
        kill_group(pid)


if __name__ == "__main__":
    _main(sys.stdin)
