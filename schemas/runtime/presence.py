"""Who is there: the workers' own words in `llm_workers`, read in one request and without a consumer."""

from __future__ import annotations

import contextlib

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from schemas import streams, subjects
from schemas.codec import decode, encode
from schemas.errors import BadRequest, Unavailable
from schemas.presence import Presence
from schemas.runtime import log
from schemas.runtime.connection import require

_log = log.get("presence")
_GET = f"$JS.API.DIRECT.GET.{streams.stream_of(streams.WORKERS)}"
# One look at all keys: a consumer that lists them, as nats-py's `keys` has it, misses one that is renewed meanwhile.
_LAST_OF_EACH = encode({"multi_last": [subjects.key(streams.WORKERS.bucket, ">")]})
_TIMEOUT = 2.0
# The server's words for: that was all, nothing found, and no such bucket (no worker has ever been here).
_ENDS = {"204", "404", "503"}


async def workers(nc: Client) -> list[Presence]:
    """All workers that are there, by name. Raises Unavailable when NATS does not say."""
    require(nc)
    try:
        messages = await _read(nc)
    except Error as error:
        # A missing right comes here as well, and is logged by the connection.
        raise Unavailable(
            "NATS does not say which workers are there: this user may lack the right that nats.conf gives to `worker`, "
            "`bridge` and `operator`, or the server is overloaded; then try again."
        ) from error
    found = [one for message in messages if (one := _presence(message))]
    return sorted(found, key=lambda worker: worker.worker)


async def _read(nc: Client) -> list[Msg]:
    """nats-py's request() takes one reply; a batch needs an inbox of its own."""
    found: list[Msg] = []
    inbox = await nc.subscribe(nc.new_inbox())
    try:
        await nc.publish(_GET, _LAST_OF_EACH, reply=inbox.subject)
        while (status := _status(message := await inbox.next_msg(_TIMEOUT))) is None:
            found.append(message)
    finally:
        with contextlib.suppress(Error):
            await inbox.unsubscribe()
    if status not in _ENDS:
        raise Unavailable(f"NATS cannot say which workers are there (status {status}); see its log.")
    return found


def _status(message: Msg) -> str | None:
    return (message.headers or {}).get("Status")


def _presence(message: Msg) -> Presence | None:
    """None for a worker that took its leave, or that speaks a version which is not known here."""
    if not message.data:
        return None
    try:
        return decode(Presence, message.data)
    except BadRequest as error:
        _log.warning("presence_unknown", reason=error.message)
        return None
