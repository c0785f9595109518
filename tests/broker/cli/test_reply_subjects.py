"""What permissions do not see: the subject that a request names for its answer, and wildcards inside a look-up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from bridge.client import stored
from bridge.credentials import User
from schemas import streams, subjects
from worker.transport.micro import Endpoint, Service

if TYPE_CHECKING:
    from conftest import Mover, Server

STREAMS = [stream.name for stream in streams.STREAMS] + [f"KV_{one.bucket}" for one in streams.BUCKETS]
# Where an answer would do harm: as somebody's result, as a recipe, as a command.
TARGETS = [
    "analyses.coin.forged",
    "analyses.coin.known",
    "dead.ARTICLES.coin.forged",
    *(f"$KV.{one.bucket}.coin" for one in streams.BUCKETS),
    *(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("DELETE", "PURGE") for stream in STREAMS),
    *(f"$JS.API.CONSUMER.DELETE.{one.stream}.{one.durable_name}" for one in streams.CONSUMERS),
]
# What has an answer: of ours, an empty one (nothing found), and the API's.
QUESTIONS = [
    "$JS.API.DIRECT.GET.ANALYSES.analyses.coin.known",
    "$JS.API.DIRECT.GET.ANALYSES.analyses.coin.unknown",
    "$JS.API.DIRECT.GET.DEAD.dead.ARTICLES.coin.unknown",
]
OF_THE_BRIDGE = [
    "$JS.API.STREAM.INFO.ANALYSES",
    "$JS.API.CONSUMER.INFO.ARTICLES.articles-norm",
    "$JS.API.DIRECT.GET.KV_llm_workers",
    "$JS.API.DIRECT.GET.KV_llm_responses.$KV.llm_responses.unknown",
]


@pytest_asyncio.fixture
async def house(server: Server, mover: Mover, operator: Client) -> AsyncIterator[Client]:
    """The operator's eyes on a house with an analysis and a recipe."""
    await mover.nc.jetstream().publish("analyses.coin.known", b"{}")
    await mover.nc.jetstream().publish("$KV.llm_recipes.coin", b"{}")
    return operator


async def stands(operator: Client) -> dict[str, tuple[int, int, int]]:
    """All streams, with what tells that somebody wrote, removed, or took a consumer away. Articles may come in."""
    answer = await stored.api(operator, "STREAM.LIST")
    return {
        one["config"]["name"]: (state["last_seq"], state["messages"], state["consumer_count"])
        if one["config"]["name"] != "ARTICLES"
        else (0, 0, state["consumer_count"])
        for one in answer["streams"]
        for state in [one["state"]]
    }


@pytest.mark.parametrize("user", ["publisher", "bridge"])
async def test_no_answer_of_the_server_becomes_an_act(server: Server, house: Client, user: User) -> None:
    nc, before = await server.connect(user), await stands(house)
    assert set(before) == set(STREAMS)
    for number, target in enumerate(TARGETS):
        await nc.publish(f"articles.norm.coin.{number}", b"{}", reply=target)
        for question in QUESTIONS + OF_THE_BRIDGE * (user == "bridge"):
            await nc.publish(question, reply=target)
    await nc.request(QUESTIONS[0], timeout=5)  # after all the others
    await nc.request("articles.norm.coin.last", b"{}", timeout=5)
    assert await stands(house) == before
    state = (await stored.api(house, "STREAM.INFO.ARTICLES"))["state"]
    assert state["messages"] == state["last_seq"] == len(TARGETS) + 1
    await nc.close()
    assert server.denied == []


async def test_no_answer_of_a_worker_becomes_an_act(server: Server, house: Client, mover: Mover) -> None:
    """The worker's own rights stand behind its answers: it gives them to inboxes only."""

    async def answer(msg: Msg) -> None:
        await mover.nc.publish(msg.reply, b"{}")

    endpoint = Endpoint("chat", subjects.CHAT, answer, {})
    service = Service(mover.nc, "llm", "1.0.0", "d", {}, [endpoint])
    await service.start()
    publisher = await server.connect("publisher")
    await mover.nc.flush()
    before = await stands(house)
    for target in TARGETS:
        await publisher.publish(subjects.CHAT, b"{}", reply=target)
        await house.publish("$SRV.PING", reply=target)
    await publisher.request(subjects.CHAT, b"{}", timeout=5)
    pong = json.loads((await house.request("$SRV.PING", timeout=5)).data)
    assert pong["name"] == "llm"
    assert await stands(house) == before
    assert (await stored.api(house, "STREAM.INFO.ARTICLES"))["state"]["messages"] == 0
    assert endpoint.requests == 1
    await service.stop(1)
    await publisher.close()
    assert server.denied == []


@pytest.mark.parametrize("user", ["publisher", "bridge"])
@pytest.mark.parametrize(
    "name", ["ANALYSES.analyses.coin.*", "ANALYSES.analyses.*.known", "ANALYSES.analyses.*.*",
             "ANALYSES.analyses.coin.>", "ANALYSES.analyses.*.>",
             "DEAD.dead.ARTICLES.coin.*", "DEAD.dead.ARTICLES.*.*", "DEAD.dead.ARTICLES.coin.>"],
)  # fmt: skip
async def test_nobody_finds_what_he_cannot_name(server: Server, house: Client, user: User, name: str) -> None:
    await house.jetstream().publish("dead.ARTICLES.coin.known", b"{}")
    nc = await server.connect(user)
    with pytest.raises(NoRespondersError):
        await nc.request(f"$JS.API.DIRECT.GET.{name}", timeout=5)
    assert await stored.last(nc, "ANALYSES", "analyses.coin.known") is not None
    assert await stored.last(nc, "DEAD", "dead.ARTICLES.coin.known") is not None
    assert await stored.last(nc, "DEAD", "dead.ARTICLES.coin.unknown") is None
    await nc.close()
    assert server.denied == []
