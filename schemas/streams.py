"""Streams, consumers and buckets with every setting that matters; ages and waits are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from schemas.subjects import LANES, Lane

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

# Of all that is laid out here; it stands in each stream's metadata. A change that an older worker would undo counts it
# up: that one then refuses to start.
LAYOUT = 1
LAYOUT_KEY = "nats-mlx-layout"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str
    subjects: list[str]
    retention: Literal["workqueue", "limits"] = "limits"
    discard: Literal["new", "old"] = "old"
    discard_new_per_subject: bool = False
    max_msgs_per_subject: int = -1
    max_msg_size: int = -1
    max_age: float = 0
    duplicate_window: float = 2 * MINUTE
    allow_direct: bool = False
    allow_rollup_hdrs: bool = False
    allow_msg_ttl: bool = False


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    durable_name: str
    description: str
    filter_subject: str
    ack_wait: float
    max_deliver: int
    max_ack_pending: int = 1000


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A key-value bucket; `ttl` 0 keeps for good, sizes of -1 have no limit. A full one refuses what is new, unless it
    is to drop what is old.
    """

    bucket: str
    description: str
    history: int = 1
    ttl: float = 0
    max_value_size: int = -1
    discard: Literal["new", "old"] = "new"


def stream_of(bucket: Bucket) -> str:
    """The stream that a bucket is."""
    return f"KV_{bucket.bucket}"


ARTICLES = Stream(
    name="ARTICLES",
    description="Articles that wait for their analysis",
    subjects=[f"articles.{lane}.*.*" for lane in LANES],  # another lane is refused at once: nobody takes it
    retention="workqueue",
    discard="new",
    discard_new_per_subject=True,
    max_msgs_per_subject=1,
    max_msg_size=768 * 1024,
    max_age=14 * DAY,
    duplicate_window=24 * HOUR,
    allow_direct=True,
)
ANALYSES = Stream(
    name="ANALYSES",
    description="One analysis per article and recipe",
    subjects=["analyses.*.*"],
    max_msgs_per_subject=1,
    max_age=30 * DAY,
    allow_direct=True,
)
DEAD = Stream(
    name="DEAD",
    description="What could not be done, with the reason and the original",
    subjects=["dead.*.*.*"],
    max_msgs_per_subject=1,
    max_age=90 * DAY,
    allow_direct=True,
)
DEAD_EVENTS = Stream(
    name="DEAD_EVENTS",
    description="Advisories of queued work that its workers never lived to report",
    subjects=[
        f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.>"
        for stream in ("ARTICLES", "BATCH_LINES")
        for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")
    ],
    retention="workqueue",
    max_age=90 * DAY,
)
BATCHES = Stream(
    name="BATCHES",
    description="Batches that somebody has to look after, until they are over",
    subjects=["batches.*"],
    retention="workqueue",
    discard="new",
    discard_new_per_subject=True,
    max_msgs_per_subject=1,
    max_age=14 * DAY,
)
BATCH_LINES = Stream(
    name="BATCH_LINES",
    description="Lines of batches that wait for their answer, each a request",
    subjects=["batches.*.*"],
    retention="workqueue",
    discard="new",
    discard_new_per_subject=True,
    max_msgs_per_subject=1,
    max_msg_size=768 * 1024,
    max_age=14 * DAY,
)
BATCH_RESULTS = Stream(
    name="BATCH_RESULTS",
    description="Answers to lines of batches, until they are in the batch's files",
    subjects=["results.*.*"],
    max_msgs_per_subject=1,
    max_msg_size=960 * 1024,
    max_age=30 * DAY,
    allow_direct=True,
)
# An object store as ADR-20 has it, whose messages have ends of their own: what nobody asks for goes by itself.
FILES_BUCKET = "llm_files"
FILES = Stream(
    name=f"OBJ_{FILES_BUCKET}",
    description="Files of batches, and what becomes of them",
    subjects=[f"$O.{FILES_BUCKET}.C.>", f"$O.{FILES_BUCKET}.M.>"],
    discard="new",
    allow_direct=True,
    allow_rollup_hdrs=True,
    allow_msg_ttl=True,
)
STREAMS = (ARTICLES, ANALYSES, DEAD, DEAD_EVENTS, BATCHES, BATCH_LINES, BATCH_RESULTS, FILES)

ACK_WAIT = 60.0
IN_PROGRESS_EVERY = 20.0
MAX_DELIVER = 8


def lane_consumer(lane: Lane) -> Consumer:
    return Consumer(
        stream=ARTICLES.name,
        durable_name=f"articles-{lane}",
        description=f"Workers take articles of the lane {lane} here",
        filter_subject=f"articles.{lane}.>",
        ack_wait=ACK_WAIT,
        max_deliver=MAX_DELIVER,
    )


LANE_CONSUMERS = {lane: lane_consumer(lane) for lane in LANES}
LINE_CONSUMER = Consumer(
    stream=BATCH_LINES.name,
    durable_name="batch-lines",
    description="Workers take lines of batches here",
    filter_subject="",
    ack_wait=ACK_WAIT,
    max_deliver=MAX_DELIVER,
)
# What workers do for nobody who waits, in one mechanism.
WORK_CONSUMERS = (*LANE_CONSUMERS.values(), LINE_CONSUMER)
# A bridge that dies gives its batches back sooner: looking after one costs little, and people look at it.
KEEPER_ACK_WAIT = 10.0
KEEPER = Consumer(
    stream=BATCHES.name,
    durable_name="keeper",
    description="Bridges take batches here to look after them",
    filter_subject="",
    ack_wait=KEEPER_ACK_WAIT,
    max_deliver=-1,
)
MOVER = Consumer(
    stream=DEAD_EVENTS.name,
    durable_name="mover",
    description="Workers move given-up work to where it ends here",
    filter_subject="",
    ack_wait=ACK_WAIT,
    max_deliver=-1,
)
CONSUMERS = (*WORK_CONSUMERS, KEEPER, MOVER)

RECIPES = Bucket(bucket="llm_recipes", description="How an article becomes a prompt", history=10)
CACHE = Bucket(
    bucket="llm_cache", description="Results by hash of model, prompt, schema, sampling", ttl=30 * DAY
)
WORKERS = Bucket(bucket="llm_workers", description="Presence of each worker", ttl=45.0)
RESPONSES = Bucket(
    bucket="llm_responses",
    description="Responses that may be asked for again, each with its conversation",
    ttl=30 * DAY,
    max_value_size=960 * 1024,
    discard="old",
)
BATCH_BUCKET = Bucket(
    bucket="llm_batches",
    description="Batches as their owners see them, and what their keepers have to know",
    ttl=90 * DAY,
    max_value_size=256 * 1024,
)
BUCKETS = (RECIPES, CACHE, WORKERS, RESPONSES, BATCH_BUCKET)
# What others can fill must leave room for what the work is for, analyses above all: of what is left of the server's
# store each takes half at most, and never more than so many bytes.
MOST_BYTES = {
    ARTICLES.name: 2 * 1024**3,
    FILES.name: 2 * 1024**3,
    BATCH_LINES.name: 1024**3,
    stream_of(RESPONSES): 512 * 1024**2,
}


def retry_delay(attempts: int) -> float:
    """Seconds until a job that failed for now is delivered again; `attempts` counts deliveries from 1."""
    doublings = min(attempts - 1, 5)  # more would only be cut, and thousands of them are no float any more
    return min(300.0, 15.0 * 2.0**doublings)


def longer(one: float, other: float) -> float:
    """Of two ages, where 0 is for good: what somebody wants to keep longer is never removed by a worker's start."""
    return max(one, other) if one and other else 0


# Of what the server's JSON says in nanoseconds.
_SPANS = {"max_age", "duplicate_window", "ack_wait"}


def differences(wanted: Stream | Consumer | Bucket, found: Mapping[str, Any]) -> list[str]:
    """The settings that a worker's start would change; `found` is a configuration as the server's JSON has it."""
    return [name for name, value in _settings(wanted).items() if not _holds(name, value, found.get(name))]


def _settings(wanted: Stream | Consumer | Bucket) -> dict[str, Any]:
    if isinstance(wanted, Bucket):
        return {"max_age": wanted.ttl, "max_msg_size": wanted.max_value_size, "discard": wanted.discard}
    return {
        name: value
        for name, value in msgspec.structs.asdict(wanted).items()
        if name not in ("stream", "description")
    }


def _holds(name: str, wanted: Any, found: Any) -> bool:
    """The server leaves out what is off, empty or zero."""
    if name in _SPANS:
        found = (found or 0) / 1e9
        return bool(found == (longer(found, wanted) if name == "max_age" else wanted))
    return bool(wanted == found or not (wanted or found))
