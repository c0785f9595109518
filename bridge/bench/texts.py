"""The articles of a benchmark: from a file or from the samples, as many as are wanted, under ids of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import msgspec

from bridge.client import articles
from bridge.client.articles import Outgoing, Target
from schemas.articles import Article, decode_article
from schemas.codec import encode
from schemas.errors import BadRequest

_SAMPLES = resources.files("bridge") / "samples" / "articles.jsonl"


def load(file: Path | None, count: int | None) -> list[Article]:
    """The first `count`, else all; more than there are: again from the start, each text marked as another."""
    text = file.read_bytes() if file else _SAMPLES.read_bytes()
    found = [decode_article(line) for line in text.splitlines() if line.strip()]
    if not found:
        raise BadRequest(f"{file} holds no articles.")
    wanted = count or len(found)
    return [_copy(found[at % len(found)], at // len(found)) for at in range(wanted)]


def marked(some: Sequence[Article], mark: str) -> list[Article]:
    """Other texts of nearly the same length: a worker that keeps results must not know them."""
    return [msgspec.structs.replace(one, body=f"{one.body} [{mark}]") for one in some]


def named(some: Sequence[Article], prefix: str) -> list[Article]:
    """Under new ids."""
    return [msgspec.structs.replace(one, id=f"{prefix}-{at:05}") for at, one in enumerate(some, 1)]


def outgoing(some: Sequence[Article], target: Target) -> list[Outgoing]:
    return [articles.prepare(encode(one), target) for one in some]


def _copy(article: Article, number: int) -> Article:
    return marked([article], f"copy {number}")[0] if number else article
