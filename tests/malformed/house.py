"""The real thing to throw at: nats-server with the project's nats.conf, a bridge, and a worker with the starter model.

Nobody restarts them here: a process that ends stays ended, and shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bridge import credentials
from bridge.credentials import Credentials, User
from bridge.up.programs import find_conf, find_server

_START = 120.0
# What a process says of its own faults, whatever the answer was.
_FAULTS = {
    "inference_failed",
    "article_failed",
    "answer_not_sent",
    "unexpected_error",
    "step_failed",
    "connection_over",
}
_FAULTS |= {"nats_disconnected", "nats_error", "article_left", "article_retry"}


class Process:
    """A child and its log, read to the end: a full pipe would stop it."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self.lines: list[dict[str, Any]] = []
        self._more = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            try:
                found = json.loads(line)
            except ValueError:
                found = {"event": "text", "text": line.decode(errors="replace").rstrip()}
            async with self._more:
                self.lines.append(found)
                self._more.notify_all()
        async with self._more:
            self.lines.append({"event": "end"})
            self._more.notify_all()

    async def said(self, event: str, text: str = "") -> dict[str, Any]:
        """The first line of an event, waited for."""
        seen = 0
        async with asyncio.timeout(_START), self._more:
            while True:
                for line in self.lines[seen:]:
                    if line["event"] == event and text in line.get("text", ""):
                        return line
                    assert line["event"] != "end", f"it ended early: {self.lines[-8:]}"
                seen = len(self.lines)
                await self._more.wait()

    @property
    def faults(self) -> list[dict[str, Any]]:
        return [
            line for line in self.lines if line["event"] in _FAULTS or "Traceback" in line.get("text", "")
        ]

    @property
    def alive(self) -> bool:
        return self.child.returncode is None

    async def end(self) -> None:
        if self.alive:
            self.child.terminate()
        try:
            await asyncio.wait_for(self.child.wait(), 30)
        except TimeoutError:
            self.child.kill()
            await self.child.wait()
        await self._reading


class House:
    def __init__(self, keys: Credentials) -> None:
        self.keys = keys
        self.port = 0
        self.url = ""
        self.processes: dict[str, Process] = {}

    def password(self, user: User) -> str:
        return self.keys.password(user)

    async def start(self, name: str, *command: str, **env: str) -> Process:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("NATS_")}
        child = await asyncio.create_subprocess_exec(
            *command,
            env=clean | env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        self.processes[name] = Process(child)
        return self.processes[name]

    def env(self, user: User) -> dict[str, str]:
        return {
            "NATS_URL": f"nats://127.0.0.1:{self.port}",
            "NATS_USER": user,
            "NATS_PASSWORD": self.password(user),
            "NATS_MLX_LOG_FORMAT": "json",
        }


@contextlib.asynccontextmanager
async def opened(folder: Path, **settings: str) -> AsyncIterator[House]:
    """`settings` are environment variables of the worker and the bridge."""
    keys = credentials.ensure(folder)
    house = House(keys)
    try:
        options = ["-c", str(find_conf()), "-p", "-1", "-m", "-1", "-sd", str(folder / "nats")]
        server = await house.start("nats-server", str(find_server()), *options, **keys.server_env())
        line = await server.said("text", "Listening for client connections on")
        house.port = int(line["text"].rpartition(":")[2])
        await server.said("text", "Server is ready")
        own = {"NATS_MLX_WORKER_MODEL": "starter", "NATS_MLX_DATA_DIR": str(folder)} | settings
        python = (sys.executable, "-P", "-m")
        worker = await house.start("worker", *python, "worker", **house.env("worker"), **own)
        own = {"NATS_MLX_BRIDGE_PORT": "0", "NATS_MLX_DATA_DIR": str(folder)} | settings
        bridge = await house.start("bridge", *python, "bridge.app", **house.env("bridge"), **own)
        house.url = (await bridge.said("listening"))["url"]
        await bridge.said("nats_connected")
        await worker.said("worker_ready")
        yield house
    finally:
        for process in reversed(list(house.processes.values())):
            await process.end()
