"""The table of the contract's page: each stream, consumer and bucket with every setting that matters."""

from typing import Any

import msgspec
import pytest

from schemas import streams

DAY = 24 * 3600
STREAMS: dict[str, dict[str, Any]] = {
    "ARTICLES": {
        "subjects": ["articles.high.*.*", "articles.norm.*.*"],
        "retention": "workqueue",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_msg_size": 768 * 1024,
        "max_age": 14 * DAY,
        "duplicate_window": DAY,
        "allow_direct": True,
    },
    "ANALYSES": {
        "subjects": ["analyses.*.*"],
        "retention": "limits",
        "discard": "old",
        "discard_new_per_subject": False,
        "max_msgs_per_subject": 1,
        "max_msg_size": -1,
        "max_age": 30 * DAY,
        "duplicate_window": 120,
        "allow_direct": True,
    },
    "DEAD": {
        "subjects": ["dead.*.*.*"],
        "retention": "limits",
        "discard": "old",
        "discard_new_per_subject": False,
        "max_msgs_per_subject": 1,
        "max_msg_size": -1,
        "max_age": 90 * DAY,
        "duplicate_window": 120,
        "allow_direct": True,
    },
    "DEAD_EVENTS": {
        "subjects": [
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ARTICLES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.ARTICLES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.BATCH_LINES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.BATCH_LINES.>",
        ],
        "retention": "workqueue",
        "discard": "old",
        "discard_new_per_subject": False,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_age": 90 * DAY,
        "duplicate_window": 120,
        "allow_direct": False,
    },
    "BATCHES": {
        "subjects": ["batches.*"],
        "retention": "workqueue",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_msg_size": -1,
        "max_age": 14 * DAY,
        "duplicate_window": 120,
        "allow_direct": False,
    },
    "BATCH_LINES": {
        "subjects": ["batches.*.*"],
        "retention": "workqueue",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_msg_size": 768 * 1024,
        "max_age": 14 * DAY,
        "duplicate_window": 120,
        "allow_direct": False,
    },
    "BATCH_RESULTS": {
        "subjects": ["results.*.*"],
        "retention": "limits",
        "discard": "old",
        "discard_new_per_subject": False,
        "max_msgs_per_subject": 1,
        "max_msg_size": 960 * 1024,
        "max_age": 30 * DAY,
        "duplicate_window": 120,
        "allow_direct": True,
    },
    "OBJ_llm_files": {
        "subjects": ["$O.llm_files.C.>", "$O.llm_files.M.>"],
        "retention": "limits",
        "discard": "new",
        "discard_new_per_subject": False,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "duplicate_window": 120,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "allow_msg_ttl": True,
    },
}
# Of files alone.
NEITHER = {"allow_rollup_hdrs": False, "allow_msg_ttl": False}
CONSUMERS: dict[str, dict[str, Any]] = {
    "articles-high": {
        "stream": "ARTICLES",
        "filter_subject": "articles.high.>",
        "ack_wait": 60,
        "max_deliver": 8,
        "max_ack_pending": 1000,
    },
    "articles-norm": {
        "stream": "ARTICLES",
        "filter_subject": "articles.norm.>",
        "ack_wait": 60,
        "max_deliver": 8,
        "max_ack_pending": 1000,
    },
    "batch-lines": {
        "stream": "BATCH_LINES",
        "filter_subject": "",
        "ack_wait": 60,
        "max_deliver": 8,
        "max_ack_pending": 1000,
    },
    "keeper": {
        "stream": "BATCHES",
        "filter_subject": "",
        "ack_wait": 10,
        "max_deliver": -1,
        "max_ack_pending": 1000,
    },
    "mover": {
        "stream": "DEAD_EVENTS",
        "filter_subject": "",
        "ack_wait": 60,
        "max_deliver": -1,
        "max_ack_pending": 1000,
    },
}
UNLIMITED = {"max_value_size": -1, "discard": "new"}
BUCKETS: dict[str, dict[str, Any]] = {
    "llm_recipes": {"history": 10, "ttl": 0} | UNLIMITED,
    "llm_cache": {"history": 1, "ttl": 30 * DAY} | UNLIMITED,
    "llm_workers": {"history": 1, "ttl": 45} | UNLIMITED,
    "llm_responses": {"history": 1, "ttl": 30 * DAY, "max_value_size": 960 * 1024, "discard": "old"},
    "llm_batches": {"history": 1, "ttl": 90 * DAY, "max_value_size": 256 * 1024, "discard": "new"},
}


def table(items: tuple[Any, ...], key: str) -> dict[str, dict[str, Any]]:
    rows = {getattr(item, key): msgspec.structs.asdict(item) for item in items}
    for row in rows.values():
        assert row.pop("description"), "an operator reads it in `nats stream ls`"
        row.pop(key)
    assert len(rows) == len(items)
    return rows


def test_streams() -> None:
    assert table(streams.STREAMS, "name") == {name: NEITHER | row for name, row in STREAMS.items()}


def test_consumers() -> None:
    assert table(streams.CONSUMERS, "durable_name") == CONSUMERS


def test_buckets() -> None:
    assert table(streams.BUCKETS, "bucket") == BUCKETS


def test_high_is_polled_first() -> None:
    assert list(streams.LANE_CONSUMERS) == ["high", "norm"]


def test_work_in_progress_is_reported_well_before_it_is_given_to_another() -> None:
    assert streams.IN_PROGRESS_EVERY == 20
    assert streams.ACK_WAIT == 3 * streams.IN_PROGRESS_EVERY
    assert streams.MAX_DELIVER == 8


@pytest.mark.parametrize("consumer", streams.CONSUMERS)
def test_a_consumer_has_no_list_of_delays(consumer: streams.Consumer) -> None:
    """It would take the place of the ack wait."""
    assert "backoff" not in consumer.__struct_fields__


def test_the_client_takes_these_settings() -> None:
    from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig

    for stream in streams.STREAMS:
        StreamConfig(**msgspec.structs.asdict(stream))
    for consumer in streams.CONSUMERS:
        settings = msgspec.structs.asdict(consumer)
        del settings["stream"]
        ConsumerConfig(**settings)
    for bucket in streams.BUCKETS:
        settings = msgspec.structs.asdict(bucket)
        del settings["discard"]
        KeyValueConfig(**settings)
