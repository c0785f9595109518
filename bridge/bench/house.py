"""The house that is measured: one of our own in a folder that goes with it, or one that runs already."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from bridge.bench.say import Say
from bridge.client import Client
from bridge.credentials import User
from bridge.up.programs import of_model
from bridge.up.run import Options, Ready
from bridge.up.run import up as run_up
from schemas.errors import BadRequest, Unavailable
from schemas.runtime.connection import connect
from schemas.runtime.tls import Tls

T = TypeVar("T")

PREFIX_BYTES = "NATS_MLX_WORKER_PREFIX_BYTES"


class Login(NamedTuple):
    url: str
    user: str | None
    password: str | None
    tls: Tls | None = None


class House(NamedTuple):
    """Where it is, and how to come in. `bridge_url` is known of our own alone."""

    login: Callable[[User], Login]
    bridge_url: str | None = None

    @contextlib.asynccontextmanager
    async def client(self, user: User) -> AsyncIterator[Client]:
        url, name, password, tls = self.login(user)
        nc = await connect(url, name, password, name="nats-mlx bench", wait=False, tls=tls)
        try:
            yield nc
        finally:
            await nc.close()


class Site(Protocol):
    """Where houses come from. `fresh`: each use begins with empty streams and an empty memory."""

    fresh: bool

    async def use(self, job: Callable[[House], Awaitable[T]]) -> T: ...

    def having(self, **worker: str) -> Site:
        """The same with other settings of the worker, by their variables."""


class Running:
    """A house that somebody else looks after."""

    fresh = False

    def __init__(self, login: Callable[[User], Login]) -> None:
        self._login = login

    async def use(self, job: Callable[[House], Awaitable[T]]) -> T:
        return await job(House(self._login))

    def having(self, **_worker: str) -> Site:
        raise BadRequest("A house that runs keeps its settings: leave out --nats-url for one of its own.")


class Own:
    """A new house for each use, as `nats-mlx up` makes it: nothing of one run is left for the next."""

    fresh = True

    def __init__(self, model: str | None, say: Say, **worker: str) -> None:
        """`worker` are settings of it, by their variables."""
        self._worker = of_model(model) | worker
        self._say = say

    def having(self, **worker: str) -> Site:
        return Own(None, self._say, **(self._worker | worker))

    async def use(self, job: Callable[[House], Awaitable[T]]) -> T:
        results: list[T] = []

        async def run(ready: Ready) -> int:
            passwords = ready.credentials.password
            house = House(
                lambda user: Login(ready.running.nats_url, user, passwords(user)), ready.running.bridge_url
            )
            results.append(await job(house))
            return 0

        with tempfile.TemporaryDirectory(prefix="nats-mlx-bench-") as folder:
            await run_up(Options(Path(folder), self._worker, "127.0.0.1", 0, 0), self._say.detail, run)
        if not results:
            raise Unavailable("The benchmark was stopped.")
        return results[0]
