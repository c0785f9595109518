"""Reading and writing streams by plain requests: no consumer to clean up, nothing that a reconnect breaks."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas.codec import encode
from schemas.errors import Unavailable
from schemas.jetstream import NO_MESSAGE

_TIMEOUT = 5.0
_TRIES = 3
# One batch stays far below a subscription's limits, however large the messages are.
BATCH, _BATCH_BYTES = 500, 8 * 1024 * 1024


class NotStored(Unavailable):
    """The server took a message and did not keep it; `fault` is its code for why."""

    def __init__(self, message: str, fault: int) -> None:
        super().__init__(message)
        self.fault = fault


# Waits for a connection; it hears why.
Hold = Callable[[str], Awaitable[None]]


class Stored(NamedTuple):
    """One message of a stream."""

    subject: str
    sequence: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def at(self) -> dt.datetime:
        """When it was stored, by the server's clock: in the order of the sequences."""
        return msgspec.convert(self.headers["Nats-Time-Stamp"], dt.datetime)


async def patiently(_: str) -> None:
    await asyncio.sleep(1)


async def at_once(why: str) -> None:
    """Somebody waits at the other end of HTTP: not for the return of a server."""
    raise Unavailable(f"{why[0].upper()}{why[1:]} at the moment; try again in a few seconds.")


async def request(
    nc: Client,
    subject: str,
    payload: bytes = b"",
    headers: Mapping[str, str] | None = None,
    hold: Hold = patiently,
) -> Msg:
    """Ask until there is an answer. Raises Unavailable when a server that is there gives none.

    A lost connection is waited for with `hold`: what comes through here may safely be asked twice.
    """
    failures = 0
    while True:
        if not (nc.is_connected or nc.is_closed):
            # nats-py would keep what is sent now, and send it in a heap later.
            await hold("there is no connection to NATS")
            continue
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
        return no_queue("no stream")
    return Unavailable(
        f"NATS does not answer on {subject}: this user may lack the right (publish and chat need `publisher`, "
        "the rest `operator`), or the server is overloaded, or its disk is full, as its log then says: make "
        "room and start it again."
    )


def no_queue(why: str) -> Unavailable:
    return Unavailable(
        f"NATS has no queue yet ({why}): start a worker once (`nats-mlx up`), it makes the streams."
    )


async def last(nc: Client, stream: str, subject: str, hold: Hold = patiently) -> Stored | None:
    """The newest message of one subject, as the publisher may read it."""
    reply = await request(nc, f"$JS.API.DIRECT.GET.{stream}.{subject}", hold=hold)
    return _stored(reply)


async def look(nc: Client, stream: str, subject: str, hold: Hold = patiently) -> Stored | None:
    """As last(), for whoever may read all of the stream: the right names no subject."""
    query = encode({"last_by_subj": subject})
    return _stored(await request(nc, f"$JS.API.DIRECT.GET.{stream}", query, hold=hold))


async def read(
    nc: Client,
    stream: str,
    subject: str,
    start: int = 1,
    end: int | None = None,
    *,
    since: dt.datetime | None = None,
    at_once: int = BATCH,
) -> AsyncIterator[Stored]:
    """Each message that matches, from sequence `start` up to `end`, or until there is none left.

    `since` takes the place of `start`; `at_once` is how many are asked for in one go.
    """
    first: dict[str, Any] = {"start_time": since} if since else {"seq": start}
    while end is None or start <= end:
        batch = await _batch(nc, stream, first | {"next_by_subj": subject, "batch": min(at_once, BATCH)})
        for message in batch:
            if end is not None and message.sequence > end:
                return
            yield message
        if len(batch) == 0:
            return
        start = batch[-1].sequence + 1
        first = {"seq": start}


async def first(nc: Client, stream: str, subject: str, *, since: dt.datetime | None = None) -> Stored | None:
    """The oldest message that matches."""
    begin: dict[str, Any] = {"start_time": since} if since else {"seq": 1}
    found = await _batch(nc, stream, begin | {"next_by_subj": subject, "batch": 1})
    return found[0] if found else None


async def newest(nc: Client, stream: str) -> int:
    """The sequence of the last message that the stream was ever given."""
    return int((await info(nc, f"STREAM.INFO.{stream}"))["state"]["last_seq"])


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


async def info(nc: Client, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the API says of a stream or a consumer. Raises Unavailable where there is none."""
    answer = await api(nc, name, body)
    if "error" in answer:
        raise no_queue(answer["error"].get("description", "no reason given"))
    return answer


async def put(
    nc: Client,
    subject: str,
    payload: bytes,
    headers: Mapping[str, str] | None = None,
    hold: Hold = patiently,
) -> int:
    """Its sequence, once it is on the server's disk for sure. Raises NotStored."""
    answer = msgspec.json.decode((await request(nc, subject, payload, headers, hold)).data)
    if fault := answer.get("error"):
        reason = f"NATS did not store a message on {subject}: {fault.get('description')}."
        raise NotStored(reason, fault.get("err_code", 0))
    return int(answer["seq"])


async def purge(nc: Client, stream: str, subject: str, hold: Hold = patiently) -> None:
    """Remove what matches."""
    reply = await request(nc, f"$JS.API.STREAM.PURGE.{stream}", encode({"filter": subject}), hold=hold)
    fault = msgspec.json.decode(reply.data).get("error")
    if fault:
        raise Unavailable(f"NATS did not remove messages of {stream}: {fault.get('description')}.")


async def several(nc: Client, stream: str, subjects: Sequence[str]) -> dict[str, Stored]:
    """The newest message of each of these subjects that has one."""
    found: dict[str, Stored] = {}
    while missing := [subject for subject in subjects if subject not in found]:
        # What is too much for one answer is cut.
        batch = await _batch(nc, stream, {"multi_last": missing})
        if not batch:
            break
        found |= {message.subject: message for message in batch}
    return found


async def remove(nc: Client, stream: str, sequence: int) -> None:
    """It may be gone already: then another did the same."""
    fault = (await api(nc, f"STREAM.MSG.DELETE.{stream}", {"seq": sequence})).get("error", {})
    if fault and fault.get("err_code") not in NO_MESSAGE:
        raise Unavailable(f"NATS did not remove a message of {stream}: {fault.get('description')}.")


async def _batch(nc: Client, stream: str, query: Mapping[str, Any]) -> list[Stored]:
    """nats-py's request() takes one reply; a batch needs an inbox of its own."""
    payload = encode({**query, "max_bytes": _BATCH_BYTES})
    for _ in range(_TRIES):
        inbox = nc.new_inbox()
        try:
            subscription = await nc.subscribe(inbox)
        except nats.errors.ConnectionClosedError:
            raise Unavailable("The connection to NATS is closed.") from None
        try:
            await nc.publish(f"$JS.API.DIRECT.GET.{stream}", payload, reply=inbox)
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
    if "Nats-Sequence" not in headers:  # the server's own words name a subject, too
        if headers.get("Status") in ("404", "204"):
            return None
        if headers.get("Status") == "503":
            raise _no_answer("a stream", nats.errors.NoRespondersError())
        raise Unavailable(f"NATS refused to read a stream: {headers.get('Description', 'no reason given')}.")
    return Stored(headers["Nats-Subject"], int(headers["Nats-Sequence"]), headers, reply.data)
