"""The bridge as a child process, which a test may kill."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio


class Bridge:
    """A child process and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def logged(self, event: str) -> dict[str, Any]:
        """The next line of this event."""
        assert self.process.stderr is not None
        async with asyncio.timeout(10):
            async for line in self.process.stderr:
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event:
                    return found
        pytest.fail(f"the bridge ended without logging {event}")

    async def ended(self) -> tuple[int, str]:
        async with asyncio.timeout(10):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


Launch = Callable[..., Awaitable[Bridge]]


@pytest_asyncio.fixture
async def launch() -> AsyncIterator[Launch]:
    started: list[asyncio.subprocess.Process] = []

    async def begin(url: str, password: str = "bridge-secret", **more: str) -> Bridge:
        own = {"NATS_URL": url, "NATS_USER": "bridge", "NATS_PASSWORD": password}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NATS_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.app",
            env=clean | own | {"NATS_MLX_BRIDGE_PORT": "0"} | more,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return Bridge(process)

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()
