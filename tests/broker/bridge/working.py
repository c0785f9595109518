"""A work queue whose worker is the test: it takes, ends and buries articles as the real one does."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from nats.aio.client import Client

from schemas import streams, subjects
from schemas.articles import Analysis, ArticleRef, DeadLetter, Timings
from schemas.codec import encode
from schemas.completion import Usage
from worker.transport import topology

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def article(key: str | None = None, **fields: object) -> dict[str, Any]:
    return ({"id": key} if key else {}) | {"title": f"title {key}", "body": "b"} | fields


def jsonl(*articles: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in articles)


class Work:
    """`worker` and `operator` are connections with those rights."""

    def __init__(self, worker: Client, operator: Client) -> None:
        self.worker = worker
        self.operator = operator

    async def begin(self) -> None:
        """With empty streams, and without limits that a test has set."""
        for stream in (*(one.name for one in streams.STREAMS), f"KV_{streams.BATCH_BUCKET.bucket}"):
            await self.operator.request(f"$JS.API.STREAM.DELETE.{stream}")
        await topology.ensure(self.worker.jetstream())

    async def limit(self, **limits: int) -> None:
        js = self.operator.jetstream()
        config = (await js.stream_info("ARTICLES")).config
        for name, value in limits.items():
            setattr(config, name, value)
        await js.update_stream(config)

    async def queued(self) -> list[str]:
        """Subjects."""
        info = await self.operator.jetstream().stream_info("ARTICLES", subjects_filter=">")
        return sorted(info.state.subjects or {})

    async def take(self, lane: subjects.Lane = "norm") -> Any:
        """The next article, as a worker is given it."""
        consumer = streams.LANE_CONSUMERS[lane]
        pull = await self.worker.jetstream().pull_subscribe_bind(consumer.durable_name, consumer.stream)
        (message,) = await pull.fetch(1, timeout=5)
        return message

    async def analyse(self, key: str, recipe: str = "coin", source: str = "s", **result: object) -> int:
        """Its sequence."""
        told = {"sentiment": "neutral", "coins": ["BTC"], "importance": 2, "summary": key} | result
        found = Analysis(
            id=key, recipe=recipe, recipe_version="1", article=ArticleRef(key, None, source, None), model="m",
            result=told, usage=Usage(1, 1, 2), timings=Timings(0, 0, 0, 0), attempts=1, worker="w", finished_at=NOW,
        )  # fmt: skip
        subject = subjects.analysis(recipe, subjects.id_token(key))
        return (await self.worker.jetstream().publish(subject, encode(found))).seq

    async def bury(
        self, key: str, recipe: str = "coin", payload: bytes | None = None, **fields: object
    ) -> int:
        """Its sequence."""
        letter = DeadLetter(
            **{  # type: ignore[arg-type]
                "subject": f"articles.norm.{recipe}.{key}", "stream": "ARTICLES", "sequence": 10**6,
                "reason": "answer_too_long", "error": "The answer did not end.", "attempts": 3, "worker": "w",
                "failed_at": NOW, "first_published": NOW,
            } | fields
        )  # fmt: skip
        text = json.dumps(article(key)).encode() if payload is None else payload
        subject = f"dead.ARTICLES.{recipe}.{key}"
        return (await self.worker.jetstream().publish(subject, text, headers=letter.headers())).seq
