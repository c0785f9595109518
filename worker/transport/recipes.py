"""The recipes of the bucket `llm_recipes`, read with each article, so that an edit holds from the next one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.errors import APIError, InvalidKeyError, KeyNotFoundError
from nats.js.kv import KeyValue

from schemas import streams, subjects
from schemas.errors import NotFound
from schemas.jetstream import EXPECTED_LAST, WRONG_LAST_SEQUENCE
from schemas.runtime import log as logs
from worker.engine.engine import Engine
from worker.recipes import BUILT_IN, PROBES, Recipe, built_in, parse

log = logs.get("worker.recipes")


@dataclass(slots=True)
class Loaded:
    """A recipe in force; `head` are the tokens with which all its prompts begin, once somebody asked."""

    name: str
    revision: int | None
    recipe: Recipe
    head: list[int] | None = None


class Recipes:
    """What is in force now: a read of a key costs less than a millisecond, and no watcher can fall asleep."""

    def __init__(self, js: JetStreamContext, engine: Engine) -> None:
        self._js = js
        self._engine = engine
        self._loaded: dict[str, Loaded] = {}
        self._loading = asyncio.Lock()
        self._bucket: KeyValue

    async def start(self) -> None:
        """Put what ships with the project where nothing ever was: what somebody removed stays away."""
        self._bucket = await self._js.key_value(streams.RECIPES.bucket)
        for name in BUILT_IN:
            try:
                subject = subjects.key(streams.RECIPES.bucket, name)
                await self._js.publish(subject, built_in(name), headers={EXPECTED_LAST: "0"})
            except APIError as error:
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise
                log.debug("recipe_kept", recipe=name)
            except NatsTimeout:  # how a missing right shows
                hint = "this worker may not put it: is the server's nats.conf older?"
                log.warning("recipe_not_put", recipe=name, hint=hint)

    async def get(self, name: str) -> Loaded:
        """Raises NotFound for an unknown recipe, BadRequest for one that is not valid."""
        try:
            entry = await self._bucket.get(name)
        except (KeyNotFoundError, InvalidKeyError):
            raise NotFound(f"There is no recipe `{name}`.", code="unknown_recipe") from None
        async with self._loading:  # a batch of articles asks at once, and loading takes a moment
            known = self._loaded.get(name)
            if known is None or known.revision != entry.revision:
                known = self._loaded[name] = Loaded(name, entry.revision, parse(entry.value or b""))
        return known

    async def head(self, loaded: Loaded) -> list[int]:
        """It takes the tokenizer of the recipe's model, so it waits until that is known to be served here."""
        async with self._loading:
            if loaded.head is None:
                recipe = loaded.recipe
                loaded.head = await self._engine.head(*map(recipe.request, PROBES))
                log.info("recipe_loaded", recipe=loaded.name, version=recipe.version, head=len(loaded.head))
        return loaded.head
