"""Three servers and a leaf node, as the README has them: work goes on when one is gone, and rights reach as far."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext

from bridge import credentials
from bridge.client import outcomes, stored
from bridge.credentials import Credentials, User
from schemas import streams, subjects
from schemas.runtime.connection import connect
from tests.broker.cli.blocks import lay_out
from tests.broker.cli.conftest import Server, running, serving
from tests.ports import free_port, free_ports
from tests.until import seen
from worker.transport import topology

T = TypeVar("T")

HOST = "127.0.0.1"
NAMES = ("n1", "n2", "n3")


class Cluster(NamedTuple):
    credentials: Credentials
    processes: dict[str, subprocess.Popen[str]]  # by address

    async def connect(self, user: User) -> Client:
        url = ",".join(f"nats://{address}" for address in self.processes)
        return await connect(url, user, self.credentials.password(user), name="t", wait=True)

    def kill(self, nc: Client) -> None:
        """The server that this client is connected to."""
        assert nc.connected_url is not None
        self.processes[nc.connected_url.netloc].kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    keys = credentials.ensure(tmp_path)
    routes = free_ports(len(NAMES))
    urls = ", ".join(f'"nats://route:route-secret@{HOST}:{port}"' for port in routes)
    processes = {}
    with contextlib.ExitStack() as stack:
        starts = []
        for name, port in zip(NAMES, routes, strict=True):
            folder = tmp_path / name
            folder.mkdir()
            conf = lay_out(folder, "cluster.conf", **{"0.0.0.0:6222": f"{HOST}:{port}"})
            env = keys.server_env() | {
                "NODE": name,
                "ROUTE_PASSWORD": '"route-secret"',
                "ROUTES": f"[{urls}]",
            }
            starts.append(running(conf, folder, env))
        for start in starts:
            process, address = stack.enter_context(start)
            processes[address] = process
        yield Cluster(keys, processes)


async def made(nc: Client, replicas: int) -> JetStreamContext:
    """A cluster that has just started elects its leaders first."""
    js = nc.jetstream(timeout=2)
    await insist(lambda: topology.ensure(js, replicas))
    return js


async def copies(operator: Client) -> set[int | None]:
    """Asked one by one: a list leaves out those that elect a leader just now."""
    js = operator.jetstream(timeout=2)
    names = [stream.name for stream in streams.STREAMS] + [f"KV_{one.bucket}" for one in streams.BUCKETS]
    return {(await insist(lambda name=name: js.stream_info(name))).config.num_replicas for name in names}


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """What is asked in the moment of an election gets no answer: ask again soon."""
    while True:
        try:
            return await act()
        except (Error, TimeoutError):
            await asyncio.sleep(0.05)


async def analysed(publisher: Client, js: JetStreamContext, token: str) -> None:
    """It is taken, and what a worker writes of it is found by its publisher.

    Nothing is pulled: what a pull had taken while leaders change comes again after the ack wait, a minute later.
    """
    await insist(lambda: publisher.request(f"articles.norm.coin.{token}", b"{}", timeout=0.5))
    lane = streams.LANE_CONSUMERS["norm"]
    await insist(lambda: js.consumer_info(lane.stream, lane.durable_name, timeout=1))
    await insist(lambda: js.publish(f"analyses.coin.{token}", b"{}", timeout=1))
    await found(publisher, token)


async def found(publisher: Client, token: str) -> None:
    find = f"$JS.API.DIRECT.GET.ANALYSES.analyses.coin.{token}"

    async def ask() -> Msg:
        return await insist(lambda: publisher.request(find, timeout=0.5))

    await seen(ask, lambda answer: "Nats-Subject" in (answer.headers or {}), within=60)


async def test_three_hold_three_copies(cluster: Cluster) -> None:
    worker, operator = await cluster.connect("worker"), await cluster.connect("operator")
    await made(worker, 1)
    js = await made(worker, 3)
    assert await copies(operator) == {3}
    await insist(lambda: topology.ensure(js))  # another worker, that was told nothing of three
    assert await copies(operator) == {3}
    for nc in (worker, operator):
        await nc.close()


async def test_three_go_on_when_one_is_killed(cluster: Cluster) -> None:
    worker, publisher = await cluster.connect("worker"), await cluster.connect("publisher")
    js = await made(worker, 3)
    await analysed(publisher, js, "before")
    cluster.kill(worker)
    await analysed(publisher, js, "after")
    await found(publisher, "before")
    for nc in (worker, publisher):
        await nc.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Server, int]]:
    """And the port for its leaves."""
    folder = tmp_path / "hub"
    folder.mkdir()
    port = free_port()
    with serving(folder, lay_out(folder, "hub.conf", **{"0.0.0.0:7422": f"{HOST}:{port}"})) as server:
        yield server, port


@pytest_asyncio.fixture
async def leaf(hub: tuple[Server, int], tmp_path: Path) -> AsyncIterator[Client]:
    """A program on the NAS, connected to its own server; the streams are there."""
    server, port = hub
    folder = tmp_path / "leaf"
    folder.mkdir()
    password = server.credentials.password("publisher")
    env = {"PUBLISHER_PASSWORD": f'"{password}"', "HUB": f'"nats://publisher:{password}@{HOST}:{port}"'}
    with running(lay_out(folder, "leaf.conf"), folder, env) as (_, address):
        worker = await server.connect("worker")
        await topology.ensure(worker.jetstream())
        nc = await connect(f"nats://{address}", "publisher", password, name="t", wait=True)
        # The leaf dials its hub.
        await insist(lambda: nc.request("$JS.API.DIRECT.GET.ANALYSES.analyses.coin.none", timeout=1))
        yield nc
        await nc.close()
        await worker.close()


async def test_a_publisher_on_a_leaf_works_as_one_at_the_hub(hub: tuple[Server, int], leaf: Client) -> None:
    server, _ = hub
    worker = await server.connect("worker")

    async def answer(msg: Msg) -> None:
        await worker.publish(msg.reply, b"hello")

    await worker.subscribe(subjects.CHAT, "llm", cb=answer)
    await analysed(leaf, worker.jetstream(), "a")
    # The subscription has to reach the leaf first.
    reply = await insist(lambda: leaf.request(subjects.CHAT, b"{}", timeout=2))
    assert reply.data == b"hello"
    await worker.close()


@pytest.mark.parametrize(
    "subject", ["analyses.coin.x", "$KV.llm_recipes.coin", "$JS.API.STREAM.DELETE.DEAD", "_INBOX.operator.x"]
)
async def test_a_leaf_has_no_more_rights_than_its_user(
    hub: tuple[Server, int], leaf: Client, subject: str
) -> None:
    operator = await hub[0].connect("operator")
    heard = await operator.subscribe(subject)
    before = await stored.api(operator, "STREAM.NAMES")
    await leaf.publish(subject)
    await leaf.publish("articles.norm.coin.x", b"{}", reply=subject)
    await stored.request(leaf, "articles.norm.coin.last", b"{}")  # comes after them
    await operator.flush()
    assert heard.pending_msgs == 0
    assert (await stored.api(operator, "STREAM.NAMES"))["streams"] == before["streams"]
    await operator.close()


async def test_what_is_read_at_a_leaf_is_what_its_user_may_read(
    hub: tuple[Server, int], leaf: Client
) -> None:
    operator = await hub[0].connect("operator")
    inbox = await leaf.subscribe("analyses.>")
    await leaf.flush()
    await operator.jetstream().publish("analyses.coin.secret", b"{}")
    assert await outcomes.analysis(leaf, "coin", "secret") is not None  # it came by this way, and later
    assert inbox.pending_msgs == 0
    for name in ("coin.*", "coin.>", "*.*"):
        with pytest.raises(Error):
            await leaf.request(f"$JS.API.DIRECT.GET.ANALYSES.analyses.{name}", timeout=0.3)
    await operator.close()
