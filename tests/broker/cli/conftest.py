"""A real nats-server with the repository's nats.conf, and a worker that only moves messages."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from bridge import credentials
from bridge.credentials import Credentials, User
from bridge.up.programs import find_conf, find_server
from schemas import streams, subjects
from schemas.articles import Analysis, ArticleRef, DeadLetter, Timings, decode_article
from schemas.codec import encode
from schemas.completion import Usage
from worker.transport import topology

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@dataclass
class Server:
    url: str
    credentials: Credentials
    process: subprocess.Popen[str]
    denied: list[str] = field(default_factory=list)

    async def connect(self, user: User) -> Client:
        """What a plain script does; what the server denies lands in `denied`."""

        async def on_error(error: Exception) -> None:
            self.denied.append(str(error).lower())

        return await nats.connect(
            self.url,
            user=user,
            password=self.credentials.password(user),
            inbox_prefix=f"_INBOX.{user}".encode(),
            error_cb=on_error,
        )


@contextlib.contextmanager
def serving(folder: Path, conf: Path | None = None, port: int = -1) -> Iterator[Server]:
    """A server with passwords of its own in `folder`, which is also where relative paths of its settings start."""
    keys = credentials.ensure(folder)
    with running(conf or find_conf(), folder, keys.server_env(), port) as (process, address):
        yield Server(f"nats://{address}", keys, process=process)


@contextlib.contextmanager
def running(
    conf: Path, folder: Path, env: dict[str, str], port: int = -1
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A nats-server that is ready, and where; what it stores is below `folder`."""
    command = [str(find_server()), "-c", str(conf), "-a", "127.0.0.1", "-p", str(port), "-m", "-1"]
    command += ["-sd", str(folder / "nats")]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # It says each thing that it refuses, and would stand still once nobody reads that any more.
        reader = threading.Thread(target=process.stderr.read, daemon=True)
        try:
            address = _address(process)
            reader.start()
            yield process, address
        finally:
            process.terminate()
            if reader.is_alive():
                reader.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as one:
        yield one


def _address(process: subprocess.Popen[str]) -> str:
    """From the server's log, which also says when it is ready."""
    assert process.stderr is not None
    address, log = "", ""
    for line in process.stderr:
        log += line
        if found := re.search(r"Listening for client connections on (\S+)", line):
            address = found[1]
        if "Server is ready" in line:
            return address
    pytest.fail(f"nats-server did not start: {log}")


Verdict = Callable[[Msg], str | None]


@dataclass
class Mover:
    """Does a worker's last steps with each article, in the contract's order. `verdict` gives the reason of
    a dead letter, or None for an analysis.
    """

    nc: Client
    verdict: Verdict = lambda _: None
    taken: list[str] = field(default_factory=list)
    working: bool = False
    pull: JetStreamContext.PullSubscription | None = None

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A fault of its own ends the test that waits for it."""
        self.working = True
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._move())
            yield
            # Never cancelled: a cancelled fetch leaves its pull open, which takes the next message along.
            self.working = False

    async def _move(self) -> None:
        if self.pull is None:
            # One for all its shifts: what comes too late for the last fetch of one is taken by the next.
            lane = streams.LANE_CONSUMERS["norm"]
            self.pull = await self.nc.jetstream().pull_subscribe_bind(lane.durable_name, lane.stream)
        while self.working:
            try:
                messages = await self.pull.fetch(10, timeout=0.2)
            except TimeoutError:
                continue
            for message in messages:
                await self._finish(message)

    async def _finish(self, message: Msg) -> None:
        self.taken.append(message.subject)
        address = subjects.parse_article(message.subject)
        reason = self.verdict(message)
        js = self.nc.jetstream()
        if reason is not None:
            headers = _letter(message, reason).headers()
            await js.publish(
                subjects.dead("ARTICLES", address.recipe, address.token), message.data, headers=headers
            )
        else:
            await js.publish(
                subjects.analysis(address.recipe, address.token), encode(_analysis(message, address.token))
            )
        await message.ack_sync()


def _analysis(message: Msg, token: str) -> Analysis:
    article = decode_article(message.data)
    return Analysis(
        id=article.id or token,
        recipe="coin",
        recipe_version="1",
        article=ArticleRef(article.title, article.url, article.source, article.published_at),
        model="m",
        result={"sentiment": "neutral", "coins": ["BTC"], "importance": 2, "summary": article.title},
        usage=Usage(1, 1, 2),
        timings=Timings(0, 0, 0, 0),
        attempts=1,
        worker="w",
        finished_at=NOW,
    )


def _letter(message: Msg, reason: str) -> DeadLetter:
    return DeadLetter(
        subject=message.subject,
        stream="ARTICLES",
        sequence=message.metadata.sequence.stream,
        reason="bad_request",
        error=reason,
        attempts=1,
        worker="w",
        failed_at=NOW,
    )


@pytest_asyncio.fixture
async def mover(server: Server) -> AsyncIterator[Mover]:
    """The streams are there; nothing moves before the test says so."""
    nc = await server.connect("worker")
    await topology.ensure(nc.jetstream())
    yield Mover(nc)
    await nc.close()


@pytest_asyncio.fixture
async def moving(mover: Mover) -> AsyncIterator[Mover]:
    async with mover.at_work():
        yield mover


@pytest_asyncio.fixture
async def publisher(server: Server, mover: Mover) -> AsyncIterator[Client]:
    nc = await server.connect("publisher")
    yield nc
    await nc.close()


@pytest_asyncio.fixture
async def operator(server: Server, mover: Mover) -> AsyncIterator[Client]:
    nc = await server.connect("operator")
    yield nc
    await nc.close()
