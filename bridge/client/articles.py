"""Articles onto the queue: checked before they are sent, so that the server never ends the connection."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from bridge.client.gate import Gate, GaveUp
from schemas import streams, subjects, trace
from schemas.articles import article_id, decode_article
from schemas.errors import BadRequest, LlmError, TooLarge, Unavailable
from schemas.subjects import Lane
from schemas.trace import Trace

# The server's codes: a limit of the stream; none of its memory or disk left, for it or for the account.
_STORE_FAILED = 10077
_FULL_CODES = {_STORE_FAILED, 10002, 10023, 10028, 10047}
_TOO_LARGE = 10054
_UNAVAILABLE = 503
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
    payload = line.strip()
    if len(payload) > streams.ARTICLES.max_msg_size:
        raise _too_large(payload)
    article = decode_article(payload)
    key = article_id(article)
    return outgoing(key, subjects.id_token(key), payload, target)


def outgoing(key: str, token: str, payload: bytes, target: Target) -> Outgoing:
    if not subjects.is_token(target.recipe):
        raise BadRequest(
            f"`{target.recipe}` cannot be a recipe's name.", param="recipe", code="invalid_value"
        )
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
    return len(payload) + _wire_size(_with_id(headers)) <= streams.ARTICLES.max_msg_size


def _with_id(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(headers) | {_MSG_ID: uuid.uuid4().hex}


def _wire_size(headers: Mapping[str, str]) -> int:
    """The bytes of headers on the wire: their version line, one line each, and an empty one."""
    return 12 + sum(len(name) + len(value) + 4 for name, value in headers.items())


async def publish(nc: Client, article: Outgoing, gate: Gate) -> int | None:
    """Its sequence on the queue, or None when the same article waits there already.

    A full queue and an absent server are waited for at the gate. Raises GaveUp. The message id is of this
    call alone: it keeps what has to be sent twice from being stored twice, and an article that was answered
    may still come again.
    """
    headers = _with_id(article.headers)
    if not fits(article.payload, article.headers):
        headers = dict(article.headers)  # a dead letter's original, which others published without an id
    while True:
        answer = await _ask(nc, article, headers, gate)
        if answer.error is None or _waits_already(answer.error):
            gate.moved()
            return None if answer.error else answer.seq
        if answer.error.err_code in _FULL_CODES:
            await gate.full(answer.error.description)
        elif answer.error.code == _UNAVAILABLE:
            await gate.hold(f"the queue is not available ({answer.error.description})")
        else:
            raise _refusal(answer.error)


async def _ask(nc: Client, article: Outgoing, headers: Mapping[str, str], gate: Gate) -> _Answer:
    """The server's answer. Raises Unavailable when it gives none and never gave one."""
    while True:
        try:
            reply = await stored.request(nc, article.subject, article.payload, headers, gate.reconnect)
            return msgspec.json.decode(reply.data, type=_Answer)
        except GaveUp:
            raise
        except Unavailable:
            if nc.is_closed or not gate.passed:
                raise
            # It did take articles: a full disk ends JetStream, and a restart takes its time.
            await gate.hold("the queue does not answer: it starts, or its disk is full, as its log says then")


def _waits_already(fault: _Answer.Fault) -> bool:
    """The server has one code for all limits of a stream; only its words tell them apart."""
    return fault.err_code == _STORE_FAILED and "per subject" in fault.description


def _refusal(fault: _Answer.Fault) -> LlmError:
    if fault.err_code == _TOO_LARGE:
        return TooLarge("The article is larger than the queue takes: shorten its body.", param="body")
    return Unavailable(f"The queue refused the article: {fault.description}.")
