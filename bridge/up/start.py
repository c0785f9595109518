"""A child of which the guard knows before it does anything: an `up` that is killed in between leaves no orphan."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from typing import IO

from bridge.up.guard import Guard

# Becomes the program once it is told to. Where nobody lives to tell it, its input ends, and so does it.
GATE = ("/bin/sh", "-c", 'read -r go && exec "$@" < /dev/null', "gate")


async def start(
    guard: Guard, command: list[str], env: Mapping[str, str], out: IO[bytes] | int, err: IO[bytes] | None
) -> Process:
    """It leads a group of its own: Ctrl-C on the terminal reaches `up` alone, which then stops the rest in order.
    The guard is to forget it when it is over.
    """
    process = await asyncio.create_subprocess_exec(
        *GATE, *command, env=dict(env), stdin=PIPE, stdout=out, stderr=err, start_new_session=True
    )
    guard.watch(process.pid)
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):  # somebody killed it already
        process.stdin.write(b"go\n")
        await process.stdin.drain()
    process.stdin.close()
    return process
