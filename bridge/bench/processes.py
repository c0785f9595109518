"""What a house's worker and bridge hold: resident memory and open descriptors, seen from outside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple

from schemas.errors import EngineFailed

NAMES = ("worker", "bridge")
MB = 2**20
_COMMANDS = {"worker": "-m worker", "bridge": "-m bridge.app"}


class Process(NamedTuple):
    """`size` is in resident bytes."""

    pid: int
    size: float


async def look() -> dict[str, Process]:
    """This process's children, by what they are; `ps` is alike on Linux and macOS."""
    return children((await _output("ps", "-axo", "ppid=,pid=,rss=,command=")).splitlines(), os.getpid())


def children(lines: Sequence[str], parent: int) -> dict[str, Process]:
    """From lines of parent, pid, kilobytes and command. Raises EngineFailed when one of the processes is missing."""
    found: dict[str, Process] = {}
    for line in lines:
        ppid, pid, rss, command = line.split(maxsplit=3)
        for name, mark in _COMMANDS.items():
            if int(ppid) == parent and command.endswith(mark):
                found[name] = Process(int(pid), float(rss) * 1024)
    if missing := set(NAMES) - set(found):
        raise EngineFailed(f"No process of this house is its {' or '.join(sorted(missing))}.")
    return found


async def descriptors(pid: int) -> int:
    """Open files and sockets. macOS has no `/proc`, but always `lsof`."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # no disk is behind it
    except FileNotFoundError:
        return numbered(await _output("lsof", "-n", "-P", "-w", "-F", "f", "-p", str(pid)))


def numbered(listing: str) -> int:
    """Of the lines of `lsof -F f`; those without a number are the program itself, its folder and the like."""
    return sum(line.startswith("f") and line[1:].isdecimal() for line in listing.splitlines())


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    listing, _ = await process.communicate()
    return listing.decode(errors="replace")
