"""The recipes of the bucket `llm_recipes`, read with each article, so that an edit holds from the next one."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.errors import InvalidKeyError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from schemas import streams
from schemas.errors import NotFound
from schemas.runtime import log as logs
from worker.recipes import BUILT_IN, Recipe, built_in, parse

log = logs.get("worker.recipes")


class Recipes:
    """What is in force now: a read of a key costs less than a millisecond, and no watcher can fall asleep."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._parsed: dict[str, tuple[int, Recipe]] = {}
        self._bucket: KeyValue

    async def start(self) -> None:
        """Put what ships with the project where nothing is yet."""
        self._bucket = await self._js.key_value(streams.RECIPES.bucket)
        for name in BUILT_IN:
            try:
                await self._bucket.create(name, built_in(name))
            except KeyWrongLastSequenceError:
                log.debug("recipe_kept", recipe=name)

    async def get(self, name: str) -> Recipe:
        """Raises NotFound for an unknown recipe, BadRequest for one that is not valid."""
        try:
            entry = await self._bucket.get(name)
        except (KeyNotFoundError, InvalidKeyError):
            raise NotFound(f"There is no recipe `{name}`.", code="unknown_recipe") from None
        revision = entry.revision or 0
        known = self._parsed.get(name)
        if known is None or known[0] != revision:
            known = self._parsed[name] = (revision, parse(entry.value or b""))
            log.info("recipe_loaded", recipe=name, version=known[1].version, revision=revision)
        return known[1]
