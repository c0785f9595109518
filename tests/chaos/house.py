"""A real nats-server on its own files, real workers, a real bridge: processes that may be killed, and come back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

from bridge import credentials
from bridge.credentials import User
from bridge.up.programs import find_conf, find_server
from tests.chaos.proxy import Proxy
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
ACK_WAIT = 2.0
STARTS_IN = 60.0


class Process:
    """A program that is started again when it dies, until it is stopped. Its log is one file for all its lives."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.command = command
        self.env = dict(env)
        self.log = log
        self.pause = 0.2  # between death and rebirth
        self.codes: list[int] = []
        self._wanted = False
        self._said_before = 0
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    def start(self) -> None:
        self._wanted = True
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """For good, until start(). Its last exit code; None when it was dead already."""
        self._wanted = False
        told = self.signal(signal.SIGCONT) and self.signal(number)
        if self._keeper is not None:
            if not told:
                self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        return self.codes[-1] if told else None

    def signal(self, number: signal.Signals) -> bool:
        """Whether there was somebody to hear it."""
        with contextlib.suppress(ProcessLookupError):
            if (pid := self.pid) is not None:
                os.kill(pid, number)
                return True
        return False

    def kill(self) -> bool:
        return self.signal(signal.SIGKILL)

    async def over(self) -> int:
        """Wait until this life is over."""
        assert self._process is not None
        return await self._process.wait()

    async def said(self, words: str, times: int = 1, within: float = STARTS_IN) -> None:
        """Wait until its log has these words so often."""
        deadline = time.monotonic() + within
        while self.count(words) < times:
            assert time.monotonic() < deadline, f"{self.name} never said {words!r} ({times}):\n{self.tail()}"
            await asyncio.sleep(0.02)

    def says(self, words: str) -> bool:
        """Whether it has said so in this life."""
        return words.encode() in self.log.read_bytes()[self._said_before :]

    def count(self, words: str) -> int:
        return self.log.read_text(errors="replace").count(words) if self.log.exists() else 0

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    async def _keep(self) -> None:
        while self._wanted:
            with self.log.open("ab") as log:
                self._said_before = log.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
                )
            self.codes.append(await self._process.wait())
            if self._wanted:
                await asyncio.sleep(self.pause)


class House:
    """One server, and as many workers as are wanted; each client behind a wire of its own."""

    def __init__(self, folder: Path, store: Path | None = None, conf: Path | None = None) -> None:
        self.folder = folder
        self.trace = folder / "computed.jsonl"
        self.keys = credentials.ensure(folder)
        self.port = free_port()
        command = [str(find_server()), "-c", str(conf or find_conf()), "-p", str(self.port), "-m", "-1"]
        command += ["-sd", str(store or folder / "nats")]
        env = os.environ | self.keys.server_env()
        self.server = Process("nats-server", command, env, folder / "nats-server.log")
        self.server.pause = 0.1
        self.workers: list[Process] = []
        self.bridge: Process | None = None
        self.wires: dict[str, Proxy] = {}
        self._clients: list[Client] = []
        self._hired = 0

    async def open(self) -> None:
        self.server.start()
        await self.server.said("Server is ready")

    async def close(self) -> None:
        for nc in self._clients:
            with contextlib.suppress(Exception):
                await nc.close()
        for process in (*self.workers, *filter(None, [self.bridge])):
            await process.stop(signal.SIGKILL)
        for wire in self.wires.values():
            await wire.stop()
        await self.server.stop(signal.SIGKILL)

    async def worker(self, ready: bool = True, **settings: str) -> Process:
        """One more. Settings by their environment names; CHAOS_* are the test's own."""
        self._hired += 1
        name = f"worker-{self._hired}"
        own = {"CHAOS_ACK_WAIT": str(ACK_WAIT), "NATS_MLX_WORKER_MODEL": "stub"}
        own |= {"CHAOS_TRACE": str(self.trace), "NATS_MLX_WORKER_SHUTDOWN_GRACE": "2"}
        own |= {"NATS_MLX_WORKER_NAME": name}
        env = await self._env(name, "worker", own | settings)
        command = [sys.executable, "-m", "tests.chaos.worker_main"]
        process = Process(name, command, env, self.folder / f"{name}.log")
        self.workers.append(process)
        process.start()
        if ready:
            await process.said("worker_ready")
        return process

    async def open_bridge(self, **settings: str) -> Process:
        env = await self._env("bridge", "bridge", {"NATS_MLX_BRIDGE_PORT": str(free_port())} | settings)
        self.bridge = Process("bridge", [sys.executable, "-m", "bridge.app"], env, self.folder / "bridge.log")
        self.bridge.start()
        await self.bridge.said("nats_connected")
        return self.bridge

    @property
    def bridge_url(self) -> str:
        assert self.bridge is not None
        return f"http://127.0.0.1:{self.bridge.env['NATS_MLX_BRIDGE_PORT']}"

    async def wire(self, name: str) -> Proxy:
        wire = self.wires[name] = Proxy(self.port)
        await wire.start()
        return wire

    async def connect(self, user: User, through: Proxy | None = None) -> Client:
        """A plain client that never gives up; what it is told of its troubles is nobody's concern."""

        async def ignore(error: Exception) -> None:
            pass

        url = through.url if through else f"nats://127.0.0.1:{self.port}"
        nc = await nats.connect(
            url, user=user, password=self.keys.password(user), inbox_prefix=f"_INBOX.{user}".encode(),
            max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=ignore,
        )  # fmt: skip
        self._clients.append(nc)
        return nc

    async def _env(self, name: str, user: User, own: dict[str, str]) -> dict[str, str]:
        mine = {key: value for key, value in os.environ.items() if not key.startswith("NATS_")}
        common = {"NATS_URL": (await self.wire(name)).url, "NATS_USER": user}
        common |= {"NATS_PASSWORD": self.keys.password(user), "NATS_MLX_LOG_FORMAT": "json"}
        return mine | common | {"NATS_MLX_DATA_DIR": str(self.folder), "PYTHONPATH": str(ROOT)} | own


@contextlib.asynccontextmanager
async def opened(folder: Path, **places: Any) -> AsyncIterator[House]:
    house = House(folder, **places)
    await house.open()
    try:
        yield house
    finally:
        await house.close()
