"""Articles onto the queue: checked before they are sent, so that the server never ends the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from schemas import streams, subjects
from schemas.articles import article_id, decode_article
from schemas.errors import BadRequest, LlmError, TooLarge, Unavailable
from schemas.subjects import Lane

_STORE_FAILED = 10077
_FULL_CODES = {_STORE_FAILED, 10023, 10047}
_TOO_LARGE = 10054
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0


class Target(NamedTuple):
    """Where articles go; `replace` asks for a new analysis of what has one."""

    recipe: str = "coin"
    lane: Lane = "norm"
    replace: bool = False


class Outgoing(NamedTuple):
    """An article that is fit to be sent."""

    id: str
    token: str
    recipe: str
    subject: str
    payload: bytes
    headers: dict[str, str]

    @property
    def replace(self) -> bool:
        return subjects.REPLACE in self.headers


class _Answer(msgspec.Struct, frozen=True):
    """JetStream's answer to a publication."""

    class Fault(msgspec.Struct, frozen=True):
        code: int
        err_code: int = 0
        description: str = "no reason given"

    seq: int = 0
    error: Fault | None = None


def prepare(line: bytes, target: Target) -> Outgoing:
    """One article of a file. Raises BadRequest naming the field, or TooLarge."""
    article = decode_article(line)
    key = article_id(article)
    return outgoing(key, subjects.id_token(key), line.strip(), target)


def outgoing(key: str, token: str, payload: bytes, target: Target) -> Outgoing:
    if not subjects.is_token(target.recipe):
        raise BadRequest(
            f"`{target.recipe}` cannot be a recipe's name.", param="recipe", code="invalid_value"
        )
    headers = {subjects.REPLACE: "true"} if target.replace else {}
    if len(payload) + _wire_size(headers) > streams.ARTICLES.max_msg_size:
        raise TooLarge(
            f"The article has {len(payload):,} bytes; {streams.ARTICLES.max_msg_size:,} with its headers "
            "are the most: shorten its body.",
            param="body",
        )
    subject = subjects.article(target.lane, target.recipe, token)
    return Outgoing(key, token, target.recipe, subject, payload, headers)


def _wire_size(headers: dict[str, str]) -> int:
    """The bytes of headers on the wire: their version line, one line each, and an empty one."""
    return 12 + sum(len(name) + len(value) + 4 for name, value in headers.items()) if headers else 0


async def publish(nc: Client, article: Outgoing, full: Callable[[str], None]) -> int | None:
    """Its sequence on the queue, or None when the same article waits there already.

    A full queue is waited for; `full` hears of each wait. No message id is sent: an article that was
    answered may come again, and costs nothing.
    """
    wait = _FIRST_WAIT
    while True:
        reply = await stored.request(nc, article.subject, article.payload, article.headers)
        answer = msgspec.json.decode(reply.data, type=_Answer)
        if answer.error is None:
            return answer.seq
        if _waits_already(answer.error):
            return None
        if answer.error.err_code not in _FULL_CODES:
            raise _refusal(answer.error)
        full(f"the queue is full ({answer.error.description}); trying again in {wait:g} s")
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


def _waits_already(fault: _Answer.Fault) -> bool:
    """The server has one code for all limits of a stream; only its words tell them apart."""
    return fault.err_code == _STORE_FAILED and "per subject" in fault.description


def _refusal(fault: _Answer.Fault) -> LlmError:
    if fault.err_code == _TOO_LARGE:
        return TooLarge("The article is larger than the queue takes: shorten its body.", param="body")
    return Unavailable(f"The queue refused the article: {fault.description}.")
