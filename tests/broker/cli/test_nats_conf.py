"""nats.conf on a real server: each user can do its work. What it may not do is in test_permissions."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from bridge.client import queue, responses, stored
from bridge.client.census import Census
from bridge.up.programs import find_conf, find_server
from schemas import subjects
from schemas.responses.response import KeptResponse, Response
from schemas.runtime import presence
from schemas.runtime.connection import Refused, connect
from tests.broker.cli.conftest import serving
from tests.until import seen
from worker.recipes import BUILT_IN, built_in
from worker.transport import topology

if TYPE_CHECKING:
    from conftest import Mover, Server

# `nats server passwd --cost 4` made it.
_PLAIN = "a password of the tests"
_HASHED = "$2a$04$hEl/rFTIA8xNvRPHgeU81OYQhYJOLvp0g/WVvEWzbSNmxuGtobLXC"


async def settled(nc: Client) -> None:
    """Whatever the server says of what was sent has arrived."""
    await asyncio.sleep(0)
    await nc.flush()


async def test_the_worker_makes_and_checks_its_streams(server: Server, mover: Mover) -> None:
    await topology.ensure(mover.nc.jetstream())  # the fixture made them; this finds them unchanged
    assert server.denied == []


async def test_the_worker_brings_what_an_older_version_made_up_to_date(
    server: Server, mover: Mover, operator: Client
) -> None:
    js = operator.jetstream()
    consumer = (await js.consumer_info("ARTICLES", "articles-high")).config
    await js.add_consumer("ARTICLES", replace(consumer, ack_wait=7.0))
    stream = (await js.stream_info("ARTICLES")).config
    await js.update_stream(replace(stream, max_msg_size=1000))
    await topology.ensure(mover.nc.jetstream())
    assert (await js.consumer_info("ARTICLES", "articles-high")).config.ack_wait == 60.0
    assert (await js.stream_info("ARTICLES")).config.max_msg_size == 768 * 1024
    assert server.denied == []


async def test_the_worker_keeps_its_buckets_and_moves_messages(
    server: Server, moving: Mover, publisher: Client
) -> None:
    await publisher.request("articles.norm.coin.a", b'{"title":"t","body":"b"}', timeout=5)
    js = moving.nc.jetstream()
    bucket = await js.key_value("llm_workers")
    await bucket.put("w", b"{}")
    assert (await bucket.get("w")).value == b"{}"
    recipes = await js.key_value("llm_recipes")
    for name in BUILT_IN:  # it may put these and no others
        await recipes.create(name, built_in(name))
        assert (await recipes.get(name)).value == built_in(name)
    await seen(lambda: stored.last(publisher, "ANALYSES", "analyses.coin.a"))
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
    assert [lane.waiting for lane in (await queue.state(nc, Census(nc))).lanes] == [0, 0]
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


async def test_a_bcrypt_hash_stands_for_its_password(tmp_path: Path) -> None:
    (tmp_path / "credentials.env").write_text(f"BRIDGE_PASSWORD={_HASHED}\n")
    with serving(tmp_path) as server:
        nc = await nats.connect(server.url, user="bridge", password=_PLAIN)
        await nc.flush()
        await nc.close()
        for wrong in (_HASHED, "another"):
            with pytest.raises(Refused):
                await connect(server.url, "bridge", wrong, name="t", wait=False)


def test_the_server_finds_no_fault_in_it() -> None:
    passwords = {f"{user}_PASSWORD": '"$2a$11$x"' for user in ("PUBLISHER", "WORKER", "BRIDGE", "OPERATOR")}
    checked = subprocess.run(
        [find_server(), "-c", find_conf(), "-t"],
        env=os.environ | passwords, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
