"""Articles as the worker's prompts, by the recipe that ships."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from schemas.articles import Article
from schemas.runtime.bench import RECIPE
from worker.engine.models import Models
from worker.jobs import Prepared
from worker.recipes import PROBES, Recipe, built_in, parse


class Prompts:
    """What the worker would make of articles, without its transport."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.recipe: Recipe = parse(built_in(RECIPE))

    @cached_property
    def head(self) -> list[int]:
        """The tokens with which all prompts of the recipe begin."""
        return self._models.head(*map(self.recipe.request, PROBES))

    def works(self, articles: Sequence[Article]) -> list[Prepared]:
        return [self._models.prepare(self.recipe.request(article), self.head) for article in articles]

    def request(self, article: Article) -> dict[str, Any]:
        """As a client would write it: without the fields that it leaves alone."""
        built: dict[str, Any] = _said(msgspec.to_builtins(self.recipe.request(article)))
        return built


def _said(value: Any) -> Any:
    match value:
        case dict():
            return {name: _said(one) for name, one in value.items() if one is not None}
        case list():
            return [_said(one) for one in value]
    return value
