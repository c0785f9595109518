"""The course of one `up`: lock, ports, model, server, worker, bridge, ready; then the same backwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bridge import credentials
from bridge.client import Client
from bridge.credentials import Credentials
from bridge.up import contexts, disk, ports
from bridge.up.child import Child
from bridge.up.folder import Folder, Running
from bridge.up.guard import Guard
from bridge.up.house import House, Say
from bridge.up.programs import HOST, Programs, find_conf, find_server, need_worker
from schemas.errors import Unavailable
from schemas.presence import Presence
from schemas.runtime import presence
from schemas.runtime.connection import connect

_LOOK_EVERY = 0.2
_WILDCARDS = {"0.0.0.0": HOST, "::": "[::1]"}  # noqa: S104 - looked up, not bound to


class Options(NamedTuple):
    """`worker` are settings of it, by their variables."""

    data_dir: Path
    worker: Mapping[str, str]
    host: str
    port: int
    nats_port: int


class Ready(NamedTuple):
    """What the job that starts when all is ready may use. It calls `steady` when its own part is done and
    it only waits for a person to end it.
    """

    running: Running
    credentials: Credentials
    folder: Folder
    steady: Callable[[], None]


Job = Callable[[Ready], Awaitable[int]]


async def up(options: Options, say: Say, job: Job) -> int:
    """Start everything, run the job, stop everything. The job's result is the exit code."""
    find_server()
    find_conf()
    need_worker()
    folder = Folder(options.data_dir)
    try:
        nats_port, port, monitor = ports.choose(
            (HOST, options.nats_port, "--nats-port"), (options.host, options.port, "--port"), (HOST, 0, "")
        )
        keys = credentials.ensure(folder.path)
        programs = Programs(folder, keys, options.worker, nats_port, monitor)
        course = _Course(options._replace(nats_port=nats_port, port=port), folder, keys, programs, say)
        guard = Guard(folder.lock)
        try:
            return await House(guard, say).live(lambda house: course.run(house, job))
        finally:
            guard.close()
    finally:
        folder.close()


class _Course:
    """What happens in which order until the job."""

    def __init__(
        self, options: Options, folder: Folder, keys: Credentials, programs: Programs, say: Say
    ) -> None:
        self._options = options
        self._folder = folder
        self._keys = keys
        self._say = say
        self._programs = programs

    async def run(self, house: House, job: Job) -> int:
        programs, options = self._programs, self._options
        await house.foreground(*programs.fetch(), what="The model could not be fetched")
        server = house.start(programs.server())
        await _listening(HOST, options.nats_port)
        self._say(f"nats-server  {programs.nats_url}")
        worker = house.start(programs.worker())
        house.start(programs.bridge(options.host, options.port))
        url = f"http://{_WILDCARDS.get(options.host, options.host)}:{options.port}"
        await asyncio.gather(self._worker_ready(worker), self._bridge_ready(url))
        house.settle()
        running = Running(os.getpid(), programs.nats_url, url)
        self._folder.announce(running)
        contexts.write(self._folder.contexts, programs.nats_url, self._keys)
        watching = asyncio.create_task(disk.watch(server, programs.health_url, self._folder.store, self._say))
        try:
            return await job(Ready(running, self._keys, self._folder, house.steady))
        finally:
            watching.cancel()

    async def _worker_ready(self, worker: Child) -> None:
        """Its own presence, by its pid: that of a worker which was killed lingers for a while."""
        url, password = self._programs.nats_url, self._keys.password("bridge")
        nc = await connect(url, "bridge", password, name="nats-mlx up", wait=True)
        try:
            while (ours := await _present(nc, worker)) is None:  # noqa: ASYNC110 - another process cannot set an event
                await asyncio.sleep(_LOOK_EVERY)
        finally:
            await nc.close()
        self._say(f"worker       {ours.models[0].name}")

    async def _bridge_ready(self, url: str) -> None:
        async with aiohttp.ClientSession() as session:
            while not await _answers(session, f"{url}/readyz"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(_LOOK_EVERY)
        self._say(f"bridge       {url}/v1")


async def _listening(host: str, port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(_LOOK_EVERY)
        else:
            writer.close()
            return


async def _present(nc: Client, worker: Child) -> Presence | None:
    try:
        return next((one for one in await presence.workers(nc) if one.pid == worker.pid), None)
    except Unavailable:  # a machine that loads a model may be slow to answer
        return None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
