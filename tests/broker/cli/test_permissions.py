"""Every permission of nats.conf, by doing it: each act as each user, and the verdict is what the server says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest
import pytest_asyncio
from nats.aio.client import Client

from bridge.credentials import USERS, User
from schemas import streams
from tests.broker.cli.conftest import Server, serving
from worker.recipes import BUILT_IN

BUCKETS = [bucket.bucket for bucket in streams.BUCKETS]
STREAMS = [stream.name for stream in streams.STREAMS] + [f"KV_{bucket}" for bucket in BUCKETS]
CONSUMERS = [(consumer.stream, consumer.durable_name) for consumer in streams.CONSUMERS]
NOBODY: set[User] = set()


@dataclass
class Table:
    """Subjects, and who besides the operator may publish or subscribe there."""

    rows: dict[str, set[User]] = field(default_factory=dict)

    def add(self, subject: str, *users: User) -> None:
        assert subject not in self.rows
        self.rows[subject] = {*users, "operator"}

    def of(self, user: User, *, allowed: bool) -> list[str]:
        return [subject for subject, users in self.rows.items() if (user in users) == allowed]


def publishing() -> Table:
    table = Table()
    for subject in ("articles.norm.coin.a", "articles.high.coin.a", "articles.low.coin.a"):
        table.add(subject, "publisher", "bridge")
    for subject in (
        "llm.v1.chat",
        "llm.v1.chat.m",
        "llm.v1.completions",
        "llm.v1.completions.m",
        "llm.v1.cancel.r",
    ):
        table.add(subject, "publisher", "bridge")
    for subject in ("llm.v1.recipe", "llm.v1.recipe.m"):
        table.add(subject)
    for subject in (
        "llm.v1",
        "llm.v1.chat.m.x",
        "llm.v1.completions.m.x",
        "llm.v1.other",
        "llm.v2.chat",
        "anything",
    ):
        table.add(subject)
    # Other names of a look-up by id; for the worker, of one that it may do anyway.
    table.add("find.analyses.coin.a", "publisher", "worker")
    table.add("find.dead.coin.a", "publisher")
    table.add("analyses.coin.a", "worker")
    table.add("dead.ARTICLES.coin.a", "worker")
    table.add("dead.OTHER.coin.a")
    for subject in ("batches.b", "batches.b.1", "$O.llm_files.C.n", "$O.llm_files.M.n"):
        table.add(subject, "bridge")
    table.add("results.b.1", "worker")
    for subject in ("batches.b.1.x", "results.b", "$O.llm_files.X.n", "$O.other.C.n"):
        table.add(subject)
    _reading(table)
    _streams(table)
    _consumers(table)
    _buckets(table)
    # An answer to somebody: only who is asked may write into another's inbox.
    for user in USERS:
        table.add(f"_INBOX.{user}.x", "worker")
    table.add("_INBOX.x", "worker")
    for verb in ("PING", "INFO.llm", "STATS", "STATS.llm.x"):
        table.add(f"$SRV.{verb}")
    table.add("$SRV.STATS.llm", "bridge")
    for call in ("SERVER.PING", "ACCOUNT.LLM.CONNZ", "ACCOUNT.PING.CONNZ", "USER.INFO"):
        table.add(f"$SYS.REQ.{call}")
    return table


def _reading(table: Table) -> None:
    """By id, in batches, and by what the API has besides."""
    get = "$JS.API.DIRECT.GET"
    table.add(f"{get}.ARTICLES", "bridge")
    table.add(f"{get}.ARTICLES.articles.norm.coin.a")
    table.add(f"{get}.ANALYSES", "bridge")
    table.add(f"{get}.ANALYSES.analyses.coin.a", "publisher", "bridge", "worker")
    table.add(f"{get}.ANALYSES.analyses.>")
    table.add(f"{get}.DEAD", "bridge")
    table.add(f"{get}.DEAD.dead.ARTICLES.coin.a", "publisher", "bridge")
    table.add(f"{get}.DEAD.dead.OTHER.coin.a")
    table.add(f"{get}.DEAD_EVENTS")
    table.add(f"{get}.BATCH_RESULTS", "bridge")
    table.add(f"{get}.BATCH_RESULTS.results.b.1", "worker")
    table.add(f"{get}.OBJ_llm_files", "bridge")
    for stream in ("BATCHES", "BATCH_LINES"):
        table.add(f"{get}.{stream}")
    for call in ("INFO", "STREAM.NAMES", "STREAM.LIST", "META.LEADER.STEPDOWN", "SERVER.REMOVE"):
        table.add(f"$JS.API.{call}")


def _streams(table: Table) -> None:
    users: dict[tuple[str, str], set[User]] = {
        **{key: {"worker"} for key in product(("INFO", "CREATE", "UPDATE"), STREAMS)},
        **{("INFO", stream): {"worker", "bridge"} for stream in ("ARTICLES", "ANALYSES", "DEAD")},
        **{("MSG.GET", stream): {"worker"} for stream in ("ARTICLES", "ANALYSES", "DEAD")},
        **{("MSG.GET", stream): {"worker"} for stream in ("BATCH_LINES", "BATCH_RESULTS")},
        **{("PURGE", stream): {"bridge"} for stream in ("BATCH_LINES", "BATCH_RESULTS", "OBJ_llm_files")},
        ("MSG.DELETE", "ARTICLES"): {"worker"},
        ("MSG.DELETE", "DEAD"): {"bridge", "worker"},
        ("MSG.DELETE", "BATCH_LINES"): {"worker"},
    }
    verbs = "INFO CREATE UPDATE DELETE PURGE MSG.GET MSG.DELETE SNAPSHOT RESTORE PEER.REMOVE LEADER.STEPDOWN"
    for verb, stream in product(verbs.split(), [*STREAMS, "OTHER"]):
        table.add(f"$JS.API.STREAM.{verb}.{stream}", *users.get((verb, stream), NOBODY))


def _consumers(table: Table) -> None:
    for stream, consumer in CONSUMERS:
        bridge: set[User] = {"bridge"} if stream in ("ARTICLES", "BATCH_LINES") else NOBODY
        table.add(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", "worker", *bridge)
        table.add(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{consumer}", "worker")
        takes: User = "bridge" if consumer == "keeper" else "worker"
        table.add(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", takes)
        for verb in ("DELETE", "PAUSE", "UNPIN", "LEADER.STEPDOWN"):
            table.add(f"$JS.API.CONSUMER.{verb}.{stream}.{consumer}")
        table.add(f"$JS.ACK.{stream}.{consumer}.1.1.1.1.0", takes)
    for stream in STREAMS:
        table.add(f"$JS.API.CONSUMER.CREATE.{stream}")
        table.add(f"$JS.API.CONSUMER.INFO.{stream}.mine")
        table.add(f"$JS.API.CONSUMER.DELETE.{stream}.mine")
        table.add(f"$JS.FC.{stream}.mine.x")
        for call in ("NAMES", "LIST"):
            table.add(f"$JS.API.CONSUMER.{call}.{stream}")
        table.add(f"$JS.API.CONSUMER.CREATE.{stream}.mine")
        table.add(f"$JS.API.CONSUMER.CREATE.{stream}.mine.x.>")
        table.add(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.mine")
        table.add(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.mine")
        table.add(f"$JS.ACK.{stream}.mine.1.1.1.1.0")


def _buckets(table: Table) -> None:
    for bucket in BUCKETS:
        owner: User = "bridge" if bucket in ("llm_responses", "llm_batches") else "worker"
        puts: set[User] = NOBODY if bucket == "llm_recipes" else {owner}
        table.add(f"$KV.{bucket}.key", *puts)
        table.add(f"$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.key", owner)
        lists: dict[str, set[User]] = {"llm_workers": {"bridge", "worker"}, "llm_batches": {"bridge"}}
        table.add(f"$JS.API.DIRECT.GET.KV_{bucket}", *lists.get(bucket, NOBODY))
    for name in BUILT_IN:
        table.add(f"$KV.llm_recipes.{name}", "worker")
    table.add("$KV.other.key")


def subscribing() -> Table:
    table = Table()
    for user in USERS:
        table.add(f"_INBOX.{user}.>", user)
        table.add(f"_INBOX.{user}.x", user)
    for subject in ("llm.v1.chat", "llm.v1.completions", "llm.v1.recipe"):
        table.add(subject, "worker")
        table.add(f"{subject}.*", "worker")
    for subject in ("llm.v1.cancel.*",):
        table.add(subject, "worker")
    for subject in ("$SRV.PING", "$SRV.INFO.llm", "$SRV.STATS.llm.x"):
        table.add(subject, "worker")
    for subject in (
        *(">", "*", "llm.>", "llm.v1.>", "_INBOX.>", "_INBOX.*", "_INBOX.*.>", "_R_.>", "find.>"),
        *(
            "articles.>",
            "analyses.>",
            "analyses.coin.a",
            "dead.>",
            "$KV.>",
            *(f"$KV.{name}.>" for name in BUCKETS),
        ),
        *(
            "$JS.>",
            "$JS.API.>",
            "$JS.ACK.>",
            "$JS.EVENT.>",
            "$JS.EVENT.ADVISORY.>",
            "$SYS.>",
            "$SRV.>",
            "$SRV.PING.other",
        ),
    ):
        table.add(subject)
    return table


PUBLISHING, SUBSCRIBING = publishing(), subscribing()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all acts: what the server says of each does not depend on what the others did."""
    with serving(tmp_path_factory.mktemp("permissions")) as found:
        yield found


async def said(server: Server, nc: Client) -> list[str]:
    """What the server refused since the last time; its word is here before the answer to a ping."""
    await asyncio.sleep(0)
    await nc.flush()
    found, server.denied[:] = list(server.denied), []
    return found


async def publish(server: Server, nc: Client, subject: str) -> bool:
    await nc.publish(subject)
    refused = await said(server, nc)
    assert all("permissions violation for publish" in word for word in refused)
    return not refused


async def subscribe(server: Server, nc: Client, subject: str) -> bool:
    subscription = await nc.subscribe(subject)
    refused = await said(server, nc)
    assert all("permissions violation for subscription" in word for word in refused)
    if not refused:
        await subscription.unsubscribe()
    return not refused


@pytest_asyncio.fixture
async def nc(server: Server, user: User) -> AsyncIterator[Client]:
    client = await server.connect(user)
    yield client
    await client.close()


@pytest.mark.parametrize("user", USERS)
async def test_no_forbidden_act_succeeds(server: Server, nc: Client, user: User) -> None:
    publications, places = PUBLISHING.of(user, allowed=False), SUBSCRIBING.of(user, allowed=False)
    succeeded = [f"publish {subject}" for subject in publications if await publish(server, nc, subject)]
    succeeded += [f"subscribe {place}" for place in places if await subscribe(server, nc, place)]
    tried = len(publications) + len(places)
    assert succeeded == [], f"{len(succeeded)} of {tried} forbidden acts succeed"
    assert user == "operator" or tried > 200


@pytest.mark.parametrize("user", USERS)
async def test_no_act_of_its_work_is_refused(server: Server, nc: Client, user: User) -> None:
    refused = [
        place for place in SUBSCRIBING.of(user, allowed=True) if not await subscribe(server, nc, place)
    ]
    refused += [
        subject for subject in PUBLISHING.of(user, allowed=True) if not await publish(server, nc, subject)
    ]
    assert refused == []
