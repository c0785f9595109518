"""A real nats-server with the repository's nats.conf, the bridge, and a worker that plays scripts."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import ClassVar

import aiohttp
import nats
import openai
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError

from bridge import app
from bridge.settings import Settings
from schemas import streams, subjects
from schemas.codec import encode
from schemas.presence import ModelCard, Presence
from schemas.runtime.connection import connect
from tests.broker.bridge.launching import launch
from tests.broker.bridge.responding import Model
from tests.broker.bridge.working import Work
from worker.transport import topology

__all__ = ["launch"]

USERS = ("publisher", "worker", "bridge", "operator")
ROOT = Path(__file__).parents[3]


def _program() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "no nats-server: install the extra `test`"
    return found


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of our own."""
    folder = tmp_path_factory.mktemp("nats")
    passwords = {f"{user.upper()}_PASSWORD": f'"{user}-secret"' for user in USERS}
    command = [_program(), "-c", str(ROOT / "nats.conf"), "-p", "-1", "-m", "-1", "-sd", str(folder)]
    server = subprocess.Popen(command, env={**os.environ, **passwords}, stderr=subprocess.PIPE, text=True)
    try:
        yield _address(server)
    finally:
        server.terminate()
        server.communicate()


def _address(server: subprocess.Popen[str]) -> str:
    """From its log, which is also the word that it is ready."""
    assert server.stderr is not None
    address, lines = "", []
    for line in server.stderr:
        lines.append(line)
        if found := re.search(r"Listening for client connections on (\S+)", line):
            address = f"nats://{found[1]}"
        if "Server is ready" in line:
            # from here on nobody reads, and a full pipe would stop the server
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return address
    pytest.fail("nats-server did not start: " + "".join(lines))


@dataclasses.dataclass
class Script:
    """A worker that keeps the wire contract or breaks it, as `answer` says."""

    model: ClassVar[str] = "Org/Tiny-1.0"

    nc: Client
    requests: asyncio.Queue[Msg] = dataclasses.field(default_factory=asyncio.Queue)
    cancelled: asyncio.Queue[str] = dataclasses.field(default_factory=asyncio.Queue)
    cancellers: set[str | None] = dataclasses.field(default_factory=set)
    answer: Callable[[Msg], Awaitable[None]] | None = None
    tasks: set[asyncio.Task[None]] = dataclasses.field(default_factory=set)

    async def listen(self) -> None:
        async def on_cancel(message: Msg) -> None:
            self.cancelled.put_nowait(message.subject.rpartition(".")[2])
            self.cancellers.add((message.headers or {}).get(subjects.CALLER))

        async def on_request(message: Msg) -> None:
            self.requests.put_nowait(message)
            if self.answer is not None:
                # as a task: callbacks of one subscription run one after another
                task = asyncio.ensure_future(self.answer(message))
                self.tasks.add(task)

        await self.nc.subscribe(subjects.CANCEL_ALL, cb=on_cancel)
        for subject in (subjects.CHAT, subjects.COMPLETIONS):
            await self.nc.subscribe(subject, queue="q", cb=on_request)
            await self.nc.subscribe(subjects.of_model(subject, self.model), queue="q", cb=on_request)
        await self._flush()

    async def present(self, name: str = "mac-1", model: str = model) -> None:
        now = dt.datetime.now(dt.UTC)
        mine = Presence(
            worker=name, version="1", pid=1, host="mac", models=[ModelCard(model, ["tiny"], 2048)],
            slots=4, running=0, waiting=0, prompt_tokens_per_second=0, decode_tokens_per_second=0,
            memory_bytes=0, started_at=now, updated_at=now,
        )  # fmt: skip
        await self.put(name, encode(mine))

    async def put(self, key: str, value: bytes) -> None:
        bucket = streams.WORKERS
        js = self.nc.jetstream()
        try:
            kv = await js.key_value(bucket.bucket)  # of the fixture `work`
        except BucketNotFoundError:
            kv = await js.create_key_value(KeyValueConfig(bucket=bucket.bucket, ttl=bucket.ttl, direct=True))
        await kv.put(key, value)

    def play(self, *parts: bytes, end: bool = True) -> None:
        """Answer with `parts` as a stream, as they should be."""

        async def answer(message: Msg) -> None:
            for number, part in enumerate(parts, 1):
                await self.chunk(message, number, part)
            if end:
                await self.end(message)

        self.answer = answer

    async def chunk(self, message: Msg, number: int | None, body: bytes, **headers: str) -> None:
        numbered = {} if number is None else {subjects.SEQ: str(number)}
        await self.nc.publish(message.reply, body, headers=numbered | headers or None)

    async def end(self, message: Msg, number: int | None = None) -> None:
        await self.chunk(message, number, b"", **{subjects.FINISH: "stop"})

    async def fail(self, message: Msg, body: bytes, status: int, **headers: str) -> None:
        headers |= {subjects.ERROR: "it failed", subjects.ERROR_CODE: str(status)}
        await self.chunk(message, None, body, **headers)

    async def _flush(self) -> None:
        await asyncio.sleep(0)
        await self.nc.flush()


@pytest_asyncio.fixture
async def script(nats_server: str) -> AsyncIterator[Script]:
    """The scripted worker; the presence of earlier tests is gone."""
    nc = await nats.connect(
        nats_server, user="worker", password="worker-secret", inbox_prefix=b"_INBOX.worker"
    )
    operator = await nats.connect(nats_server, user="operator", password="operator-secret")
    await operator.request(f"$JS.API.STREAM.DELETE.KV_{streams.WORKERS.bucket}")
    await operator.close()
    worker = Script(nc)
    await worker.listen()
    yield worker
    await nc.close()
    for task in worker.tasks:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


Start = Callable[..., Awaitable[aiohttp.ClientSession]]


@pytest_asyncio.fixture
async def start(nats_server: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the bridge with settings of the test's choice, and returns a session at its address.

    Its data folder is `tmp_path`: API keys of the person who runs the tests are not its own.
    """
    closing: list[Callable[[], Awaitable[None]]] = []

    async def begin(**values: object) -> aiohttp.ClientSession:
        chosen = Settings.load(
            nats_url=nats_server, nats_user="bridge", nats_password="bridge-secret", port=0,
            **{"shutdown_timeout": 0.1, "data_dir": tmp_path} | values,
        )  # fmt: skip
        nc = await connect(chosen.nats_url, chosen.nats_user, chosen.password, name="test bridge", wait=False)
        runner = await app.listen(chosen, nc)
        # Of bytes, aiohttp would say that they are anything.
        session = aiohttp.ClientSession(app.address(runner), headers={"Content-Type": "application/json"})
        closing.extend([session.close, runner.cleanup, nc.close])
        return session

    yield begin
    for close in closing:
        await close()


@pytest_asyncio.fixture
async def http(start: Start) -> aiohttp.ClientSession:
    """The bridge with its defaults."""
    return await start()


@pytest_asyncio.fixture
async def work(nats_server: str) -> AsyncIterator[Work]:
    """The streams, empty."""
    users = [
        await nats.connect(
            nats_server, user=user, password=f"{user}-secret", inbox_prefix=f"_INBOX.{user}".encode()
        )
        for user in ("worker", "operator")
    ]
    found = Work(*users)
    await found.begin()
    yield found
    for nc in users:
        await nc.close()


@pytest_asyncio.fixture
async def model(script: Script) -> Model:
    """With the bucket that a worker makes."""
    await topology.ensure(script.nc.jetstream())
    return Model(script)


@pytest_asyncio.fixture
async def base_url(http: aiohttp.ClientSession) -> str:
    async with http.get("/healthz") as got:
        return str(got.url.with_path("/v1"))


@pytest_asyncio.fixture
async def sdk(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        yield client
