"""What each worker says of itself in `llm_workers`, so that anyone can see who is there."""

from __future__ import annotations

import datetime as dt

import msgspec

from schemas.subjects import answers_to


class ModelCard(msgspec.Struct, frozen=True):
    """A model that a worker serves; `context` is in tokens. `loaded`: its weights are in memory."""

    name: str
    aliases: list[str]
    context: int
    loaded: bool = False

    def answers_to(self, model: str) -> bool:
        return answers_to((self.name, *self.aliases), model)


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Renewed every few seconds; it expires with its bucket's age limit when the worker is gone."""

    worker: str
    version: str
    pid: int
    host: str
    models: list[ModelCard]
    slots: int
    running: int
    waiting: int
    prompt_tokens_per_second: float
    decode_tokens_per_second: float
    memory_bytes: int
    started_at: dt.datetime
    updated_at: dt.datetime

    def serves(self, model: str) -> bool:
        return any(card.answers_to(model) for card in self.models)
