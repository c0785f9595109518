"""The recipes in force, for the operator; and a worker's word on one before it goes into force."""

from __future__ import annotations

import uuid
from typing import NamedTuple

import msgspec
from nats.aio.client import Client

from bridge.client import bucket
from bridge.client.chat import NoResponder, Reply, ask
from schemas import streams, subjects
from schemas.articles import Article
from schemas.codec import decode, encode
from schemas.completion import ChatCompletion
from schemas.errors import BadRequest, ErrorBody, LlmError, NotFound, Unavailable
from schemas.recipes import RecipeCard, RecipePrompt, RecipeTrial, is_recipe_name

_BUCKET = streams.RECIPES


class Recipe(NamedTuple):
    """A recipe where it lies. `card` is None for what no worker could use."""

    name: str
    revision: int
    text: bytes
    card: RecipeCard | None


async def every(nc: Client) -> list[Recipe]:
    """By name."""
    found = await bucket.every(nc, _BUCKET)
    return [Recipe(name, one.sequence, one.data, card(one.data)) for name, one in found.items()]


async def get(nc: Client, name: str) -> Recipe:
    """Raises NotFound."""
    found = await bucket.get(nc, _BUCKET, name) if is_recipe_name(name) else None
    if found is None:
        raise NotFound(f"There is no recipe `{name}`: `nats-mlx recipe ls` lists them.")
    return Recipe(name, found.sequence, found.data, card(found.data))


async def put(nc: Client, name: str, text: str) -> int:
    """The revision from which on it holds; the text is checked before, with try_()."""
    return await bucket.put(nc, _BUCKET, name, text.encode())


async def remove(nc: Client, recipe: Recipe) -> None:
    """Articles that come for it now are dead, until it is put again."""
    await bucket.delete(nc, _BUCKET, recipe.name)


def card(text: bytes) -> RecipeCard | None:
    try:
        return decode(RecipeCard, text)
    except BadRequest:
        return None


async def try_(nc: Client, text: str, article: Article | None, timeout: float) -> RecipePrompt:
    """What a worker that serves the recipe's model makes of it. Raises BadRequest for what none could use."""
    known = card(text.encode())
    model = known.model if known else None
    subject = subjects.of_model(subjects.RECIPE, model) if model else subjects.RECIPE
    try:
        reply = await ask(nc, subject, encode(RecipeTrial(text, article)), _headers(), timeout)
    except NoResponder:
        raise _nobody(model) from None
    return decode(RecipePrompt, _good(reply))


async def answer(nc: Client, prompt: RecipePrompt, timeout: float) -> ChatCompletion:
    """The model's answer, as a chat: no article, no analysis and no cache knows of it."""
    request = msgspec.structs.replace(prompt.request, model=prompt.model)
    subject = subjects.of_model(subjects.CHAT, prompt.model)
    return decode(ChatCompletion, _good(await ask(nc, subject, encode(request), _headers(), timeout)))


def _headers() -> dict[str, str]:
    return {subjects.REQUEST_ID: uuid.uuid4().hex}


def _good(reply: Reply) -> bytes:
    if not reply.ok:
        raise LlmError(decode(ErrorBody, reply.body).error.message)
    return reply.body


def _nobody(model: str | None) -> LlmError:
    if model is None:
        return Unavailable("No worker is there to check it: start `nats-mlx up` or `nats-mlx worker`.")
    return NotFound(
        f"No worker serves the recipe's model `{model}`: `nats-mlx status` shows who serves which."
    )
