"""Answers that were computed before, in the bucket `llm_cache`: without it all works, only slower."""

from __future__ import annotations

import datetime as dt

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from schemas import streams
from schemas.articles import CachedAnswer
from schemas.codec import decode, encode
from schemas.completion import Usage
from schemas.errors import BadRequest
from schemas.runtime import log as logs
from worker.engine.counters import Lookups

log = logs.get("worker.results")


class Results:
    """Reads and writes entries by fingerprint. What goes wrong here is logged, and no article's fault."""

    def __init__(self, js: JetStreamContext) -> None:
        self.lookups = Lookups()
        self._js = js
        self._bucket: KeyValue

    async def start(self) -> None:
        self._bucket = await self._js.key_value(streams.CACHE.bucket)

    async def get(self, key: str) -> CachedAnswer | None:
        found = await self._find(key)
        self.lookups.add(found is not None)
        return found

    async def _find(self, key: str) -> CachedAnswer | None:
        try:
            return decode(CachedAnswer, (await self._bucket.get(key)).value or b"")
        except KeyNotFoundError:
            return None
        except (NatsError, BadRequest) as error:
            log.warning("result_not_read", key=key, error=str(error))
            return None

    async def put(self, key: str, text: str, usage: Usage) -> None:
        """Keep an answer; one that is there under this key is replaced."""
        entry = CachedAnswer(text, usage, dt.datetime.now(dt.UTC))
        try:
            await self._bucket.put(key, encode(entry))
        except NatsError as error:
            log.warning("result_not_kept", key=key, error=str(error))
