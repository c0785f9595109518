"""Versions that follow each other on one server: nothing is lost on the way up, and there is no way down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig

from schemas import streams
from schemas.errors import Conflict
from worker.transport import topology

if TYPE_CHECKING:
    from tests.broker.cli.conftest import Server

NAMES = [stream.name for stream in streams.STREAMS] + [f"KV_{bucket.bucket}" for bucket in streams.BUCKETS]


@pytest_asyncio.fixture
async def operator(server: Server) -> AsyncIterator[Client]:
    nc = await server.connect("operator")
    yield nc
    await nc.close()


@pytest_asyncio.fixture
async def worker(server: Server) -> AsyncIterator[Client]:
    nc = await server.connect("worker")
    yield nc
    await nc.close()
    assert server.denied == []


async def lay_out_as_before(nc: Client) -> None:
    """As a version without layouts might have had it: narrower, shorter, and with nothing in the metadata."""
    js = nc.jetstream()
    for stream in streams.STREAMS:
        settings = msgspec.structs.asdict(stream) | {
            "description": "old",
            "max_age": 3600.0,
            "allow_direct": False,
        }
        settings["duplicate_window"] = 60.0
        await js.add_stream(StreamConfig(**settings))
    for consumer in streams.CONSUMERS:
        settings = msgspec.structs.asdict(consumer) | {"ack_wait": 600.0, "filter_subject": None}
        await js.add_consumer(settings.pop("stream"), ConsumerConfig(**settings | _filter(consumer)))
    for bucket in streams.BUCKETS:
        await js.create_key_value(KeyValueConfig(bucket=bucket.bucket, history=1, ttl=3600))


def _filter(consumer: streams.Consumer) -> dict[str, Any]:
    return {"filter_subject": consumer.filter_subject} if consumer.filter_subject else {}


async def held(nc: Client) -> dict[str, tuple[int, int, int]]:
    """Messages, first and last sequence of each stream."""
    js = nc.jetstream()
    states = {name: (await js.stream_info(name)).state for name in NAMES}
    return {name: (state.messages, state.first_seq, state.last_seq) for name, state in states.items()}


async def test_nothing_is_lost_on_the_way_up(operator: Client, worker: Client) -> None:
    await lay_out_as_before(operator)
    js = operator.jetstream()
    for n in range(20):
        await js.publish(f"articles.norm.coin.a{n}", b"{}")
        await js.publish(f"analyses.coin.b{n}", b"{}")
        await js.publish(f"dead.ARTICLES.coin.c{n}", b"{}")
    for bucket in streams.BUCKETS:
        await (await js.key_value(bucket.bucket)).put("key", b"value")
    pull = await js.pull_subscribe_bind("articles-norm", "ARTICLES")
    in_work = await pull.fetch(3)
    before = await held(operator)

    await topology.ensure(worker.jetstream())
    assert await held(operator) == before
    for wanted in streams.STREAMS:
        found = (await js.stream_info(wanted.name)).config
        assert {name: getattr(found, name) for name in wanted.__struct_fields__} == msgspec.structs.asdict(
            wanted
        )
        assert found.metadata and found.metadata[streams.LAYOUT_KEY] == str(streams.LAYOUT)
    for consumer in streams.CONSUMERS:
        info = await js.consumer_info(consumer.stream, consumer.durable_name)
        assert info.config.ack_wait == consumer.ack_wait
    assert (await js.consumer_info("ARTICLES", "articles-norm")).num_ack_pending == 3
    for bucket in streams.BUCKETS:
        config = (await js.stream_info(f"KV_{bucket.bucket}")).config
        assert config.max_msgs_per_subject == bucket.history
        assert config.metadata and config.metadata[streams.LAYOUT_KEY] == str(streams.LAYOUT)
    for message in in_work:
        await message.ack_sync()
    assert (await js.stream_info("ARTICLES")).state.messages == 17


async def test_what_is_kept_longer_by_wish_stays(operator: Client, worker: Client) -> None:
    await topology.ensure(worker.jetstream())
    js = operator.jetstream()
    for name, age in (("ANALYSES", 400 * streams.DAY), ("DEAD", 0), ("KV_llm_cache", 90 * streams.DAY)):
        await js.update_stream(replace((await js.stream_info(name)).config, max_age=age))
    recipes = (await js.stream_info("KV_llm_recipes")).config
    await js.update_stream(replace(recipes, max_msgs_per_subject=50))
    await topology.ensure(worker.jetstream())
    ages = [(await js.stream_info(name)).config.max_age for name in ("ANALYSES", "DEAD", "KV_llm_cache")]
    assert [age or 0 for age in ages] == [400 * streams.DAY, 0, 90 * streams.DAY]
    assert (await js.stream_info("KV_llm_recipes")).config.max_msgs_per_subject == 50


@pytest.mark.parametrize("name", ["ARTICLES", "KV_llm_responses"])
async def test_a_newer_versions_are_refused_as_they_are(operator: Client, worker: Client, name: str) -> None:
    await topology.ensure(worker.jetstream())
    js = operator.jetstream()
    newer = {streams.LAYOUT_KEY: str(streams.LAYOUT + 1)}
    await js.update_stream(replace((await js.stream_info(name)).config, metadata=newer))
    await js.update_stream(replace((await js.stream_info("ARTICLES")).config, description="newer words"))
    with pytest.raises(Conflict) as caught:
        await topology.ensure(worker.jetstream())
    said = f"The stream {name} is of a newer nats-mlx (layout {streams.LAYOUT + 1}; "
    assert caught.value.message.startswith(said)
    assert (await js.stream_info("ARTICLES")).config.description == "newer words"
