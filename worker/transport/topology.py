"""Streams, consumers and buckets as the contract has them, made or corrected at every start."""

from __future__ import annotations

import dataclasses

import msgspec
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig
from nats.js.errors import NotFoundError

from schemas import streams


async def ensure(js: JetStreamContext, replicas: int = 1) -> None:
    """Bring the server's objects to the contract. Settings that the contract leaves open stay as they are.

    `replicas`: so many copies of each stream at least. Who has more keeps them: another worker may ask for fewer.
    """
    for stream in streams.STREAMS:
        await _stream(js, stream, replicas)
    for consumer in streams.CONSUMERS:
        await _consumer(js, consumer)
    for bucket in streams.BUCKETS:
        await _bucket(js, bucket, replicas)


async def _stream(js: JetStreamContext, wanted: streams.Stream, replicas: int) -> None:
    settings = msgspec.structs.asdict(wanted)
    try:
        found = (await js.stream_info(wanted.name)).config
    except NotFoundError:
        await js.add_stream(StreamConfig(**settings, num_replicas=replicas))
        return
    # An update replaces the whole configuration: what is not ours to say is taken over.
    merged = dataclasses.replace(found, **settings, num_replicas=max(found.num_replicas or 1, replicas))
    if merged != found:
        await js.update_stream(merged)


async def _consumer(js: JetStreamContext, wanted: streams.Consumer) -> None:
    settings = msgspec.structs.asdict(wanted)
    stream = settings.pop("stream")
    settings["filter_subject"] = settings["filter_subject"] or None
    try:
        found = (await js.consumer_info(stream, wanted.durable_name)).config
    except NotFoundError:
        await js.add_consumer(stream, ConsumerConfig(**settings))
        return
    merged = dataclasses.replace(found, **settings)
    if merged != found:
        await js.add_consumer(stream, merged)


async def _bucket(js: JetStreamContext, wanted: streams.Bucket, replicas: int) -> None:
    settings = msgspec.structs.asdict(wanted)
    try:
        found = (await js.stream_info(f"KV_{wanted.bucket}")).config
    except NotFoundError:
        await js.create_key_value(KeyValueConfig(**settings, direct=True, replicas=replicas))
        return
    if (found.num_replicas or 1) < replicas:
        await js.update_stream(dataclasses.replace(found, num_replicas=replicas))
