"""How the work stands: what waits and what is being done in each lane, and how much is done or dead."""

from __future__ import annotations

from typing import Any

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from schemas import streams
from schemas.errors import Unavailable
from schemas.subjects import LANES, Lane


class LaneState(msgspec.Struct, frozen=True):
    """Articles that no worker has yet, and those that one has."""

    lane: Lane
    waiting: int
    in_flight: int


class QueueState(msgspec.Struct, frozen=True):
    lanes: list[LaneState]
    done: int
    dead: int


async def state(nc: Client) -> QueueState:
    lanes = [await _lane(nc, lane) for lane in LANES]
    done, dead = [await _messages(nc, stream.name) for stream in (streams.ANALYSES, streams.DEAD)]
    return QueueState(lanes, done, dead)


async def _lane(nc: Client, lane: Lane) -> LaneState:
    consumer = streams.LANE_CONSUMERS[lane]
    info = await _info(nc, f"CONSUMER.INFO.{consumer.stream}.{consumer.durable_name}")
    return LaneState(lane, info["num_pending"], info["num_ack_pending"])


async def _messages(nc: Client, stream: str) -> int:
    info = await _info(nc, f"STREAM.INFO.{stream}")
    return int(info["state"]["messages"])


async def _info(nc: Client, call: str) -> dict[str, Any]:
    answer = await stored.api(nc, call)
    if "error" in answer:
        raise Unavailable(
            f"NATS has no queue yet ({answer['error'].get('description', 'no reason given')}): "
            "start a worker once (`nats-mlx up`), it makes it."
        )
    return answer
