"""A recipe on trial: what is asked of a worker before the recipe is put into force, and what it says."""

from __future__ import annotations

import re

import msgspec

from schemas.articles import Article
from schemas.chat import ChatRequest
from schemas.errors import BadRequest

# A token of a subject that is also a key of a bucket.
_NAME = re.compile(r"[a-zA-Z0-9_=/-]{1,64}")


class RecipeCard(msgspec.Struct, frozen=True):
    """What a listing shows; all of a recipe's shape is the worker's matter."""

    version: str | None = None
    description: str | None = None
    model: str | None = None


class RecipeTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text of a recipe, and an article for it; without one it is only checked."""

    recipe: str
    article: Article | None = None


class RecipePrompt(msgspec.Struct, frozen=True):
    """A recipe that can be used, and what it asks of its model.

    `prompt` is the text as the model reads it, `prompt_tokens` its length, `head_tokens` those with which all prompts
    of the recipe begin. `request` is the chat request that has the answer.
    """

    version: str
    model: str
    prompt: str
    prompt_tokens: int
    head_tokens: int
    request: ChatRequest


def is_recipe_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def need_recipe_name(text: str) -> None:
    """Raises BadRequest."""
    if not is_recipe_name(text):
        reason = f"`{text}` cannot be a recipe's name: 1 to 64 of a-z A-Z 0-9 - _ = / are."
        raise BadRequest(reason, param="recipe", code="invalid_value")
