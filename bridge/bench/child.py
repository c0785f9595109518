"""A process that a benchmark asks for, and that ends with it however the benchmark ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from typing import Any

from bridge.up.guard import Guard, kill_group


@contextlib.asynccontextmanager
async def child(command: list[str], env: Mapping[str, str], **streams: Any) -> AsyncIterator[Process]:
    """It has nothing to finish: it is killed at the end, and so it is when this process is."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    guard = Guard(nothing)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(env), start_new_session=True, **streams
        )
        guard.watch(process.pid)
        try:
            yield process
        finally:
            kill_group(process.pid)
            await process.wait()
            guard.forget(process.pid)
    finally:
        guard.close()
        os.close(nothing)
