"""Where an article is: on the queue, done, dead, or nowhere."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from nats.aio.client import Client

from bridge.client import outcomes, stored
from bridge.client.stored import Stored
from schemas import streams, subjects
from schemas.subjects import LANES, Lane


class Waiting(NamedTuple):
    """`taken`: a worker was given it, and has it, or will be given it again."""

    lane: Lane
    since: dt.datetime
    taken: bool


class Place(NamedTuple):
    """An article may wait once more that has an analysis or a letter already."""

    waiting: Waiting | None
    analysis: Stored | None
    letter: Stored | None


async def find(nc: Client, recipe: str, token: str) -> Place:
    """In the order of a worker's last steps, so that one who ends it meanwhile does not hide it."""
    waiting = await _waiting(nc, recipe, token)
    analysis = await outcomes.analysis(nc, recipe, token)
    return Place(waiting, analysis, await outcomes.dead(nc, recipe, token))


async def _waiting(nc: Client, recipe: str, token: str) -> Waiting | None:
    for lane in LANES:
        found = await stored.look(nc, streams.ARTICLES.name, subjects.article(lane, recipe, token))
        if found is not None:
            return Waiting(lane, found.at, found.sequence <= await _delivered(nc, lane))
    return None


async def _delivered(nc: Client, lane: Lane) -> int:
    """The highest sequence that any worker was given; 0 without a worker so far."""
    consumer = streams.LANE_CONSUMERS[lane]
    info = await stored.api(nc, f"CONSUMER.INFO.{consumer.stream}.{consumer.durable_name}")
    return int(info["delivered"]["stream_seq"]) if "error" not in info else 0
