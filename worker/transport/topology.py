"""Streams, consumers and buckets as the contract has them, made or corrected at every start."""

from __future__ import annotations

import dataclasses

import msgspec
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig
from nats.js.errors import BucketNotFoundError, NotFoundError

from schemas import streams


async def ensure(js: JetStreamContext) -> None:
    """Bring the server's objects to the contract. Settings that the contract leaves open stay as they are."""
    for stream in streams.STREAMS:
        await _stream(js, stream)
    for consumer in streams.CONSUMERS:
        await _consumer(js, consumer)
    for bucket in streams.BUCKETS:
        await _bucket(js, bucket)


async def _stream(js: JetStreamContext, wanted: streams.Stream) -> None:
    settings = msgspec.structs.asdict(wanted)
    try:
        found = (await js.stream_info(wanted.name)).config
    except NotFoundError:
        await js.add_stream(StreamConfig(**settings))
        return
    # An update replaces the whole configuration: what is not ours to say is taken over.
    merged = dataclasses.replace(found, **settings)
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


async def _bucket(js: JetStreamContext, wanted: streams.Bucket) -> None:
    try:
        await js.key_value(wanted.bucket)
    except (BucketNotFoundError, NotFoundError):
        await js.create_key_value(KeyValueConfig(**msgspec.structs.asdict(wanted), direct=True))
