"""A house without a worker of its own: server and bridge as ever, and somebody else in the worker's place."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp

from bridge import credentials
from bridge.bench.house import House, Login
from bridge.bench.say import Say
from bridge.up import house as up_house
from bridge.up import ports
from bridge.up.folder import Folder
from bridge.up.guard import Guard
from bridge.up.programs import HOST, Programs, of_login, python
from schemas.codec import encode
from schemas.errors import Unavailable

T = TypeVar("T")
_LOOK_EVERY = 0.1


async def use(job: Callable[[House], Awaitable[T]], say: Say, worker: str | None = None) -> T:
    """The job in a hall of its own, which is gone afterwards. `worker` is the module of whoever takes the worker's
    place; without one the job brings it.
    """
    results: list[T] = []
    with tempfile.TemporaryDirectory(prefix="nats-mlx-bench-") as place:
        folder = Folder(Path(place))
        keys = credentials.ensure(folder.path)
        nats_port, port = ports.choose((HOST, 0, "--nats-port"), (HOST, 0, "--port"))
        programs = Programs(folder, keys, {}, nats_port)
        house = House(
            lambda user: Login(programs.nats_url, user, keys.password(user)), f"http://{HOST}:{port}"
        )

        async def course(children: up_house.House) -> int:
            children.start(programs.server())
            if worker is not None:
                children.start(programs.worker()._replace(name=worker, command=python(worker)))
            children.start(programs.bridge(HOST, port))
            results.append(await job(house))
            return 0

        guard = Guard(folder.lock)
        try:
            await up_house.House(guard, say.detail).live(course)
        finally:
            guard.close()
            folder.close()
    if not results:
        raise Unavailable("The benchmark was stopped.")
    return results[0]


def as_worker(house: House) -> dict[str, str]:
    """The settings of whoever takes the worker's place in it."""
    login = house.login("worker")
    return of_login(login.url, "worker", login.password or "")


async def ready(house: House) -> None:
    """Once a whole answer comes through, all are there."""
    json = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(house.bridge_url, headers=json) as session:
        while not await _streams(session):  # noqa: ASYNC110 - other processes cannot set an event
            await asyncio.sleep(_LOOK_EVERY)


async def _streams(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.post("/v1/chat/completions", data=request(1)) as response:
            return response.status == 200 and b"[DONE]" in await response.read()
    except aiohttp.ClientError:
        return False


def request(chunks: int) -> bytes:
    body = {"messages": [{"role": "user", "content": "?"}], "stream": True, "max_tokens": chunks}
    return encode(body)
