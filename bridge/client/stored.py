"""Reading and writing streams by plain requests: no consumer to clean up, nothing that a reconnect breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas.codec import encode
from schemas.errors import Unavailable

_TIMEOUT = 5.0
_TRIES = 3
# One batch stays far below a subscription's limits, however large the messages are.
_BATCH, _BATCH_BYTES = 500, 8 * 1024 * 1024


class Stored(NamedTuple):
    """One message of a stream."""

    subject: str
    sequence: int
    headers: Mapping[str, str]
    data: bytes


async def request(
    nc: Client, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None
) -> Msg:
    """Ask until there is an answer. Raises Unavailable when a server that is there gives none.

    A lost connection is waited for: what comes through here may safely be asked twice.
    """
    failures = 0
    while True:
        try:
            # A copy: nats-py adds to the headers it is given.
            return await nc.request(subject, payload, timeout=_TIMEOUT, headers=dict(headers or {}) or None)
        except nats.errors.ConnectionClosedError:
            raise Unavailable("The connection to NATS is closed.") from None
        except (nats.errors.Error, TimeoutError) as error:
            failures = failures + 1 if nc.is_connected else 0
            if failures == _TRIES:
                raise _no_answer(subject, error) from None
            if not isinstance(error, TimeoutError):
                await asyncio.sleep(1)  # these fail at once: a server that starts needs a moment


def _no_answer(subject: str, error: Exception) -> Unavailable:
    if isinstance(error, nats.errors.NoRespondersError):
        return Unavailable(
            "NATS has no JetStream stream for this yet: start a worker once (`nats-mlx up`), it makes them."
        )
    return Unavailable(
        f"NATS does not answer on {subject}: this user may lack the right (publish and chat need `publisher`, "
        "the rest `operator`), or the server is overloaded, or its disk is full, as its log then says: make "
        "room and start it again."
    )


async def last(nc: Client, stream: str, subject: str) -> Stored | None:
    """The newest message of one subject, as the publisher may read it."""
    reply = await request(nc, f"$JS.API.DIRECT.GET.{stream}.{subject}")
    return _stored(reply)


async def read(nc: Client, stream: str, subject: str, start: int = 1) -> AsyncIterator[Stored]:
    """Each message that matches, from sequence `start` on, until there is none left."""
    while True:
        batch = await _batch(nc, stream, subject, start)
        for message in batch:
            yield message
        if len(batch) == 0:
            return
        start = batch[-1].sequence + 1


async def follow(nc: Client, stream: str, subject: str, start: int = 1) -> AsyncIterator[Stored]:
    """As read(), and then whatever comes."""
    while True:
        async for message in read(nc, stream, subject, start):
            yield message
            start = message.sequence + 1
        await asyncio.sleep(1)


async def api(nc: Client, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One call of JetStream's API; an error in the answer is left for the caller to read."""
    reply = await request(nc, f"$JS.API.{name}", encode(body) if body else b"")
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    return answer


async def remove(nc: Client, stream: str, sequence: int) -> None:
    """It may be gone already: then another did the same."""
    await api(nc, f"STREAM.MSG.DELETE.{stream}", {"seq": sequence})


async def _batch(nc: Client, stream: str, subject: str, start: int) -> list[Stored]:
    """nats-py's request() takes one reply; a batch needs an inbox of its own."""
    query = {"seq": start, "next_by_subj": subject, "batch": _BATCH, "max_bytes": _BATCH_BYTES}
    for _ in range(_TRIES):
        inbox = nc.new_inbox()
        subscription = await nc.subscribe(inbox)
        try:
            await nc.publish(f"$JS.API.DIRECT.GET.{stream}", encode(query), reply=inbox)
            found = []
            while message := _stored(await subscription.next_msg(timeout=_TIMEOUT)):
                found.append(message)
            return found
        except (nats.errors.Error, TimeoutError):
            continue  # a lost connection took the rest of the batch along: ask again
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
    raise _no_answer(f"$JS.API.DIRECT.GET.{stream}", TimeoutError())


def _stored(reply: Msg) -> Stored | None:
    """None for the server's word that there is no such message, or that a batch is over."""
    headers: dict[str, str] = reply.headers or {}
    if "Nats-Subject" not in headers:
        if headers.get("Status") in ("404", "204"):
            return None
        if headers.get("Status") == "503":
            raise _no_answer("a stream", nats.errors.NoRespondersError())
        raise Unavailable(f"NATS refused to read a stream: {headers.get('Description', 'no reason given')}.")
    return Stored(headers["Nats-Subject"], int(headers["Nats-Sequence"]), headers, reply.data)
