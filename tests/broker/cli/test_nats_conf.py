"""nats.conf on a real server: each user can do its work, and no more."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from bridge.client import presence, queue, responses, stored
from bridge.credentials import User
from bridge.up.programs import find_conf, find_server
from schemas import subjects
from schemas.codec import encode
from schemas.responses.response import KeptResponse, Response
from worker.transport import topology

if TYPE_CHECKING:
    from conftest import Mover, Server


async def settled(nc: Client) -> None:
    """Whatever the server says of what was sent has arrived."""
    await asyncio.sleep(0)
    await nc.flush()


async def test_the_worker_makes_and_checks_its_streams(server: Server, mover: Mover) -> None:
    await topology.ensure(mover.nc.jetstream())  # the fixture made them; this finds them unchanged
    assert server.denied == []


async def test_the_worker_keeps_its_buckets_and_moves_messages(
    server: Server, moving: Mover, publisher: Client
) -> None:
    await publisher.request("articles.norm.coin.a", b'{"title":"t","body":"b"}', timeout=5)
    js = moving.nc.jetstream()
    bucket = await js.key_value("llm_workers")
    await bucket.put("w", b"{}")
    assert await bucket.keys() == ["w"]
    recipes = await js.key_value("llm_recipes")
    watcher = await recipes.watchall()
    await watcher.stop()
    while await stored.last(publisher, "ANALYSES", "analyses.coin.a") is None:
        await asyncio.sleep(0.02)
    assert server.denied == []


async def test_chat_goes_from_a_publisher_to_a_worker_and_back(
    server: Server, mover: Mover, publisher: Client
) -> None:
    async def answer(message: Msg) -> None:
        await mover.nc.publish(message.reply, b"one", reply=f"{mover.nc.new_inbox()}.x")
        await mover.nc.publish(message.reply, b"")

    await mover.nc.subscribe(subjects.CHAT, queue="q", cb=answer)
    await settled(mover.nc)
    inbox = await publisher.subscribe(publisher.new_inbox())
    await publisher.publish(subjects.CHAT, b"{}", reply=inbox.subject)
    assert [(await inbox.next_msg(timeout=5)).data for _ in range(2)] == [b"one", b""]
    await publisher.publish(subjects.cancel("r1"))
    await settled(publisher)
    assert server.denied == []


async def test_the_bridge_reads_presence_and_the_queue(server: Server, mover: Mover) -> None:
    nc = await server.connect("bridge")
    await mover.nc.jetstream().publish("$KV.llm_workers.w", b"not json")
    assert await presence.workers(nc) == []
    assert [lane.waiting for lane in (await queue.state(nc)).lanes] == [0, 0]
    await nc.close()
    assert server.denied == []


async def test_the_bridge_keeps_and_forgets_responses(server: Server, mover: Mover) -> None:
    nc = await server.connect("bridge")
    kept = KeptResponse(Response(id=f"resp_{'a' * 32}", created_at=1, model="m"), [])
    await responses.put(nc, kept)
    assert await responses.get(nc, kept.response.id) == kept
    await responses.delete(nc, kept.response.id)
    assert await responses.get(nc, kept.response.id) is None
    await nc.close()
    assert server.denied == []


async def test_the_operator_may_repair_everything(server: Server, operator: Client) -> None:
    await operator.jetstream().publish("dead.ARTICLES.coin.a", b"x")
    await operator.jetstream().purge_stream("DEAD")
    await operator.subscribe(">")
    await settled(operator)
    assert server.denied == []


FORBIDDEN: list[tuple[User, str]] = [
    ("publisher", "analyses.coin.a"),
    ("publisher", "dead.ARTICLES.coin.a"),
    ("publisher", "$JS.API.DIRECT.GET.ANALYSES"),
    ("publisher", "$JS.API.DIRECT.GET.ARTICLES.articles.norm.coin.a"),
    ("publisher", "$JS.API.CONSUMER.CREATE.ANALYSES.c.analyses.>"),
    ("publisher", "$JS.API.STREAM.PURGE.ARTICLES"),
    ("publisher", "$JS.API.STREAM.INFO.ARTICLES"),
    ("publisher", "_INBOX.operator.x"),
    ("publisher", "$KV.llm_recipes.coin"),
    ("bridge", "analyses.coin.a"),
    ("bridge", "$JS.API.STREAM.MSG.DELETE.DEAD"),
    ("bridge", "$JS.API.STREAM.DELETE.ARTICLES"),
    ("bridge", "$JS.API.CONSUMER.MSG.NEXT.ARTICLES.articles-norm"),
    ("bridge", "$KV.llm_recipes.coin"),
    ("bridge", "$KV.llm_cache.a"),
    ("publisher", "$KV.llm_responses.a"),
    ("worker", "$JS.API.STREAM.DELETE.ARTICLES"),
    ("worker", "$JS.API.STREAM.PURGE.ANALYSES"),
    ("worker", "$JS.API.STREAM.MSG.DELETE.ANALYSES"),
    ("worker", "$JS.API.CONSUMER.DELETE.ARTICLES.articles-norm"),
    ("worker", "llm.v1.chat"),
    ("worker", "articles.norm.coin.a"),
]


@pytest.mark.parametrize(("user", "subject"), FORBIDDEN)
async def test_what_a_user_may_not_publish(server: Server, user: User, subject: str) -> None:
    nc = await server.connect(user)
    await nc.publish(subject, encode({}))
    await settled(nc)
    await nc.close()
    assert len(server.denied) == 1
    assert "permissions violation for publish" in server.denied[0]


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("publisher", "articles.>"),
        ("publisher", "llm.v1.chat"),
        ("publisher", "_INBOX.>"),
        ("publisher", "_INBOX.operator.>"),
        ("bridge", "analyses.>"),
        ("bridge", "_INBOX.worker.>"),
        ("worker", "_INBOX.bridge.>"),
        ("worker", "articles.>"),
    ],
)
async def test_what_a_user_may_not_hear(server: Server, user: User, subject: str) -> None:
    nc = await server.connect(user)
    await nc.subscribe(subject)
    await settled(nc)
    await nc.close()
    assert len(server.denied) == 1
    assert "permissions violation for subscription" in server.denied[0]


async def test_without_a_password_nobody_comes_in(server: Server) -> None:
    nc = Client()
    try:
        with pytest.raises((Error, OSError)):
            await nc.connect(server.url, allow_reconnect=False)
    finally:
        await nc.close()


async def test_an_acknowledged_write_is_on_the_disk(server: Server, operator: Client) -> None:
    """The setting has no effect that a test could see short of a power cut, so it is read."""
    reply = await operator.request("$JS.API.INFO")
    limits = json.loads(reply.data)
    assert limits["limits"]["max_storage"] in (-1, 8 * 1024**3)
    text = find_conf().read_text()
    assert "sync_interval: always" in text


def test_the_server_finds_no_fault_in_it() -> None:
    passwords = {f"{user}_PASSWORD": '"$2a$11$x"' for user in ("PUBLISHER", "WORKER", "BRIDGE", "OPERATOR")}
    checked = subprocess.run(
        [find_server(), "-c", find_conf(), "-t"],
        env=os.environ | passwords, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
