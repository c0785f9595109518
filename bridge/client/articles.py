"""Articles onto the queue: checked before they are sent, so that the server never ends the connection."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NamedTuple

from nats.aio.client import Client

from bridge.client import enqueue
from bridge.client.gate import Gate
from schemas import streams, subjects, trace, wire
from schemas.articles import article_id, decode_article
from schemas.errors import TooLarge
from schemas.recipes import need_recipe_name
from schemas.subjects import Lane
from schemas.trace import Trace

_MSG_ID = "Nats-Msg-Id"


class Target(NamedTuple):
    """Where articles go; `replace` asks for a new analysis of what has one. Without a `trace` each has its own."""

    recipe: str = "coin"
    lane: Lane = "norm"
    replace: bool = False
    trace: Trace | None = None


class Outgoing(NamedTuple):
    """An article that is fit to be sent."""

    id: str
    token: str
    recipe: str
    subject: str
    payload: bytes
    headers: Mapping[str, str]

    @property
    def trace_id(self) -> str:
        return trace.of(self.headers).trace_id

    @property
    def replace(self) -> bool:
        return subjects.REPLACE in self.headers


def prepare(line: bytes, target: Target) -> Outgoing:
    """One article of a file. Raises BadRequest naming the field, or TooLarge."""
    payload = line.strip()
    if len(payload) > streams.ARTICLES.max_msg_size:
        raise _too_large(payload)
    article = decode_article(payload)
    key = article_id(article)
    return outgoing(key, subjects.id_token(key), payload, target)


def outgoing(key: str, token: str, payload: bytes, target: Target) -> Outgoing:
    need_recipe_name(target.recipe)
    headers = (target.trace or trace.new()).headers
    if target.replace:
        headers[subjects.REPLACE] = "true"
    if not fits(payload, headers):
        raise _too_large(payload)
    subject = subjects.article(target.lane, target.recipe, token)
    return Outgoing(key, token, target.recipe, subject, payload, headers)


def _too_large(payload: bytes) -> TooLarge:
    return TooLarge(
        f"The article has {len(payload):,} bytes or more; {streams.ARTICLES.max_msg_size:,} with its headers "
        "are the most: shorten its body.",
        param="body",
    )


def fits(payload: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the queue takes it with these headers and the one that publish() adds."""
    return wire.size(payload, _with_id(headers)) <= streams.ARTICLES.max_msg_size


def _with_id(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(headers) | {_MSG_ID: uuid.uuid4().hex}


async def publish(nc: Client, article: Outgoing, gate: Gate) -> int | None:
    """As enqueue.publish(). The message id is of this call alone: it keeps what has to be sent twice from being
    stored twice, and an article that was answered may still come again.
    """
    # A dead letter's original may have no room for it: others published it without.
    roomy = fits(article.payload, article.headers)
    headers = _with_id(article.headers) if roomy else article.headers
    return await enqueue.publish(nc, article.subject, article.payload, headers, gate)
