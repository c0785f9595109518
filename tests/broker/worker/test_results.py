"""The bucket of known answers: what is put is got, and whatever is wrong with it is no article's trouble."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from nats.aio.client import Client
from nats.js.kv import KeyValue

from schemas import streams
from schemas.completion import PromptTokensDetails, Usage
from tests.broker.cli.conftest import Server
from worker.transport import topology
from worker.transport.results import Results

KEY = "0a" * 32
USAGE = Usage(500, 40, 540, PromptTokensDetails(215))


@dataclass
class Bucket:
    """The bucket as the worker has it, and as the operator sees it."""

    results: Results
    worker: Client
    operator: Client
    seen: KeyValue


@pytest_asyncio.fixture
async def bucket(server: Server) -> AsyncIterator[Bucket]:
    worker, operator = await server.connect("worker"), await server.connect("operator")
    await topology.ensure(worker.jetstream())
    results = Results(worker.jetstream())
    await results.start()
    yield Bucket(results, worker, operator, await operator.jetstream().key_value(streams.CACHE.bucket))
    await worker.close()
    await operator.close()
    assert server.denied == []


async def test_what_is_put_is_got(bucket: Bucket) -> None:
    assert await bucket.results.get(KEY) is None
    await bucket.results.put(KEY, '{"summary": "비트코인 😀"}', USAGE)
    found = await bucket.results.get(KEY)
    assert found is not None
    assert (found.text, found.usage) == ('{"summary": "비트코인 😀"}', USAGE)


async def test_another_worker_finds_it_and_a_person_can_read_it(bucket: Bucket) -> None:
    await bucket.results.put(KEY, "text", USAGE)
    other = Results(bucket.operator.jetstream())
    await other.start()
    found = await other.get(KEY)
    assert found is not None and found.text == "text"
    written = json.loads((await bucket.seen.get(KEY)).value or b"")
    assert sorted(written) == ["created", "text", "usage"]


async def test_a_later_answer_replaces_an_earlier_one(bucket: Bucket) -> None:
    for text in ("before", "after"):
        await bucket.results.put(KEY, text, USAGE)
    found = await bucket.results.get(KEY)
    assert found is not None and found.text == "after"


async def test_what_was_removed_is_not_known(bucket: Bucket) -> None:
    await bucket.results.put(KEY, "text", USAGE)
    await bucket.seen.delete(KEY)
    assert await bucket.results.get(KEY) is None
    await bucket.results.put(KEY, "again", USAGE)
    found = await bucket.results.get(KEY)
    assert found is not None and found.text == "again"


async def test_what_somebody_else_wrote_there_is_not_known(bucket: Bucket) -> None:
    for value in (b"", b"no json", b'{"text": 1}', b"[]", b"\xff"):
        await bucket.seen.put(KEY, value)
        assert await bucket.results.get(KEY) is None


async def test_without_the_bucket_nothing_is_known_and_nothing_fails(bucket: Bucket) -> None:
    await bucket.results.put(KEY, "text", USAGE)
    await bucket.operator.jetstream().delete_key_value(streams.CACHE.bucket)
    assert await bucket.results.get(KEY) is None
    await bucket.results.put(KEY, "text", USAGE)


async def test_without_a_connection_nothing_is_known_and_nothing_fails(bucket: Bucket) -> None:
    await bucket.worker.close()
    assert await bucket.results.get(KEY) is None
    await bucket.results.put(KEY, "text", USAGE)


async def test_an_answer_too_large_for_a_message_is_not_kept(bucket: Bucket) -> None:
    await bucket.results.put(KEY, "x" * 2_000_000, USAGE)
    assert await bucket.results.get(KEY) is None
