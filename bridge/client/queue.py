"""How the work stands: what waits and is being done in each lane, for how long still, and what is done or dead."""

from __future__ import annotations

import datetime as dt

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from bridge.client.census import Census
from schemas import streams
from schemas.runtime import tasks
from schemas.streams import Consumer
from schemas.subjects import LANES, Lane

# The pace is that of so many seconds.
_WINDOW = dt.timedelta(minutes=10)


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """Work that no worker has yet, and that which one has."""

    waiting: int
    in_flight: int


class LaneState(Depth, frozen=True, kw_only=True):
    """Articles. `oldest_seconds`: the first that is not done was published so long ago."""

    lane: Lane
    oldest_seconds: float | None = None


class QueueState(msgspec.Struct, frozen=True):
    """`done` and `dead` are there now, of `ever_done` and `ever_dead` that were ever stored. `pace` is in analyses a
    second, of late; `eta_seconds`, of articles, is None while nothing moves. `lines` are those of batches.
    """

    lanes: list[LaneState]
    lines: Depth
    done: int
    dead: int
    ever_done: int
    ever_dead: int
    dead_by_reason: dict[str, int]
    pace: float
    eta_seconds: float | None


async def state(nc: Client, census: Census) -> QueueState:
    """Raises Unavailable, with the way out where there is no queue yet."""
    async with tasks.together() as group:
        asked = [group.create_task(_lane(nc, lane)) for lane in LANES]
        depth = group.create_task(_depth(nc, streams.LINE_CONSUMER))
        stream = group.create_task(stored.info(nc, f"STREAM.INFO.{streams.ANALYSES.name}"))
        counted = group.create_task(census.take())
    lanes, lines, done = [one.result() for one in asked], depth.result(), stream.result()
    reasons, ever_dead = counted.result()
    pace = await _pace(nc, [lane.oldest_seconds for lane in lanes if lane.oldest_seconds is not None])
    left = sum(lane.waiting + lane.in_flight for lane in lanes)
    return QueueState(
        lanes=lanes,
        lines=lines,
        done=done["state"]["messages"],
        dead=sum(reasons.values()),
        ever_done=done["state"]["last_seq"],
        ever_dead=ever_dead,
        dead_by_reason=reasons,
        pace=pace,
        eta_seconds=eta(left, pace),
    )


def eta(left: int, pace: float) -> float | None:
    """Seconds until so many articles are done."""
    if not left:
        return 0.0
    return left / pace if pace else None


async def _lane(nc: Client, lane: Lane) -> LaneState:
    consumer = streams.LANE_CONSUMERS[lane]
    depth = await _depth(nc, consumer)
    oldest = await stored.first(nc, consumer.stream, consumer.filter_subject)
    return LaneState(
        lane=lane,
        waiting=depth.waiting,
        in_flight=depth.in_flight,
        oldest_seconds=None if oldest is None else max(0.0, (_now() - oldest.at).total_seconds()),
    )


async def _depth(nc: Client, consumer: Consumer) -> Depth:
    info = await stored.info(nc, f"CONSUMER.INFO.{consumer.stream}.{consumer.durable_name}")
    return Depth(waiting=info["num_pending"], in_flight=info["num_ack_pending"])


async def _pace(nc: Client, waits: list[float]) -> float:
    """Analyses a second of late, counted by their sequences: replaced ones as well. While articles wait, since the
    oldest of them came, for before there may have been nothing to do; until one is done since then, as if there had
    been. `waits` are their ages in seconds.
    """
    now = _now()
    begins = [now - dt.timedelta(seconds=age) for age in waits]
    if begins and (since := min(begins)) > now - _WINDOW:
        ended, _ = await _ended(nc, since)
        if ended:
            return ended / max(0.1, (now - since).total_seconds())
    ended, first = await _ended(nc, now - _WINDOW)
    return (
        (ended - 1) / max(0.1, (now - first).total_seconds()) if ended else 0.0
    )  # the first only opens the span


async def _ended(nc: Client, since: dt.datetime) -> tuple[int, dt.datetime]:
    """How many analyses there have been, and when the first of them was."""
    name = streams.ANALYSES.name
    first = await stored.first(nc, name, "analyses.>", since=since)
    return (0, since) if first is None else (await stored.newest(nc, name) - first.sequence + 1, first.at)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
