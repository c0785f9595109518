"""Streams, consumers and buckets as the contract has them, made or corrected at every start."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig
from nats.js.errors import APIError, NotFoundError

from schemas import __version__, streams
from schemas.errors import Conflict, Unavailable
from schemas.jetstream import NO_ROOM, NO_STORE
from schemas.runtime import log as logs

log = logs.get("worker.topology")

_LEAST = 16 * 1024**2


async def ensure(js: JetStreamContext, replicas: int = 1) -> None:
    """Bring the server's objects to the contract. Settings that the contract leaves open stay as they are.
    Raises Conflict, before anything is changed, when a newer version has laid them out, and Unavailable when the server
    has no room for them.

    `replicas`: so many copies of each stream at least. Who has more keeps them: another worker may ask for fewer.
    """
    await _refuse_newer(js)
    try:
        await _ensure(js, replicas)
    except APIError as error:
        if error.err_code not in (NO_ROOM, NO_STORE):
            raise
        raise Unavailable(
            f"NATS has no room for its streams ({error.description}): make some on its disk."
        ) from None


async def _ensure(js: JetStreamContext, replicas: int) -> None:
    for stream in streams.STREAMS:
        await _stream(js, stream, replicas)
    for consumer in streams.CONSUMERS:
        await _consumer(js, consumer)
    for bucket in streams.BUCKETS:
        await _bucket(js, bucket, replicas)
    for name, most in streams.MOST_BYTES.items():
        await _limit(js, name, most)


async def _refuse_newer(js: JetStreamContext) -> None:
    for name in (*(stream.name for stream in streams.STREAMS), *map(streams.stream_of, streams.BUCKETS)):
        try:
            found = ((await js.stream_info(name)).config.metadata or {}).get(streams.LAYOUT_KEY, "0")
        except NotFoundError:
            continue
        if int(found) > streams.LAYOUT:
            raise Conflict(
                f"The stream {name} is of a newer nats-mlx (layout {found}; {__version__} knows {streams.LAYOUT}) and "
                "stays as it is: install that version here, too."
            )


async def _stream(js: JetStreamContext, wanted: streams.Stream, replicas: int) -> None:
    settings = msgspec.structs.asdict(wanted)
    try:
        found = (await js.stream_info(wanted.name)).config
    except NotFoundError:
        await js.add_stream(StreamConfig(**settings, num_replicas=replicas, metadata=_signed({})))
        return
    await _update(js, found, settings, replicas)


async def _update(js: JetStreamContext, found: StreamConfig, settings: dict[str, Any], replicas: int) -> None:
    """An update replaces the whole configuration: what is not ours to say is taken over."""
    settings["max_age"] = streams.longer(found.max_age or 0, settings["max_age"])
    copies = max(found.num_replicas or 1, replicas)
    merged = dataclasses.replace(
        found, **settings, num_replicas=copies, metadata=_signed(found.metadata or {})
    )
    if merged != found:
        await js.update_stream(merged)
        log.info("stream_updated", stream=found.name, layout=streams.LAYOUT)


def _signed(metadata: dict[str, str]) -> dict[str, str]:
    return metadata | {streams.LAYOUT_KEY: str(streams.LAYOUT)}


async def _limit(js: JetStreamContext, name: str, most: int) -> None:
    """Give a stream that has none a limit in bytes. The server sets those aside, and tells nobody how many it has;
    so it is asked for less and less, and half of what it grants is taken. What lies there already stays.
    """
    info = await js.stream_info(name)
    config, least = info.config, max(_LEAST, 2 * info.state.bytes)
    if (config.max_bytes or -1) > 0:
        return
    size = max(2 * most, least)
    while not await _granted(js, config, size):
        size //= 2
        if size < least:
            log.warning(
                "stream_without_limit", stream=name, hint="the server's store has too little room for one"
            )
            return
    await _granted(js, config, size // 2)
    log.info("stream_limited", stream=name, bytes=size // 2)


async def _granted(js: JetStreamContext, config: StreamConfig, size: int) -> bool:
    try:
        await js.update_stream(dataclasses.replace(config, max_bytes=size))
    except APIError as error:
        if error.err_code != NO_ROOM:
            raise
        return False
    return True


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
        # By its name it would be another request, on another subject than the one that makes it.
        await js.add_consumer(stream, dataclasses.replace(merged, name=None))


async def _bucket(js: JetStreamContext, wanted: streams.Bucket, replicas: int) -> None:
    try:
        found = (await js.stream_info(streams.stream_of(wanted))).config
    except NotFoundError:
        settings = msgspec.structs.asdict(wanted)
        del settings["discard"]  # of the stream
        await js.create_key_value(KeyValueConfig(**settings, direct=True, replicas=replicas))
        found = (await js.stream_info(streams.stream_of(wanted))).config
    settings = {
        "description": wanted.description,
        "max_msgs_per_subject": max(found.max_msgs_per_subject or 1, wanted.history),
        "max_age": wanted.ttl,
        "max_msg_size": wanted.max_value_size,
        "discard": wanted.discard,
    }
    await _update(js, found, settings, replicas)
