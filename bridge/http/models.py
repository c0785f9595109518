"""`/v1/models`: what the present workers say they serve, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiohttp import web

from bridge.http import errors
from bridge.http.context import NATS
from schemas.codec import encode
from schemas.errors import NotFound
from schemas.presence import ModelCard, Presence
from schemas.runtime import presence


class Model(msgspec.Struct, frozen=True):
    """OpenAI's model object; `created` is when the first of its workers started."""

    id: str
    created: int
    object: str = "model"
    owned_by: str = "nats-mlx"


class ModelList(msgspec.Struct, frozen=True):
    """OpenAI's list."""

    data: list[Model]
    object: str = "list"


async def index(request: web.Request) -> web.Response:
    found = _models(await presence.workers(request.app[NATS]))
    return errors.json(encode(ModelList(sorted(found.values(), key=lambda model: model.id))))


async def retrieve(request: web.Request) -> web.Response:
    """By name or alias, compared as subjects are; the answer has the model's own name."""
    asked = request.match_info["id"]
    workers = await presence.workers(request.app[NATS])
    for card in _cards(workers):
        if card.answers_to(asked):
            return errors.json(encode(_models(workers)[card.name]))
    raise NotFound(f"The model `{asked}` does not exist here.", param="model", code="model_not_found")


def _cards(workers: Iterable[Presence]) -> Iterable[ModelCard]:
    return (card for worker in workers for card in worker.models)


def _models(workers: Iterable[Presence]) -> dict[str, Model]:
    oldest_last = sorted(workers, key=lambda worker: worker.started_at, reverse=True)
    return {
        card.name: Model(card.name, int(worker.started_at.timestamp()))
        for worker in oldest_last
        for card in worker.models
    }
