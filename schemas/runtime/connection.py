"""One way to connect to NATS: it outlives an absent server, yet says at once when it may not come in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import nats.aio.client
from nats.errors import Error, SlowConsumerError

from schemas.errors import Unavailable
from schemas.runtime import log, tasks
from schemas.runtime.client import Client
from schemas.runtime.tls import Tls, refusal

_log = log.get("nats")
# The users of nats.conf: each may subscribe only below an inbox prefix of its own.
_USERS = {"publisher", "worker", "bridge", "operator"}
# Seconds that an absent server may take when the caller does not want to wait for it.
_PATIENCE = 2.0


class Refused(Unavailable):
    """The server is there and does not let us in."""

    default_code = "nats_refused"


class Absent(Unavailable):
    """Nobody answers there, which time may mend."""

    default_code = "nats_absent"


def require(client: nats.aio.client.Client) -> None:
    """Raises Unavailable while there is no connection: nats-py would keep the message and wait."""
    if not client.is_connected:
        raise Unavailable("There is no connection to NATS at the moment; try again in a few seconds.")


async def connect(
    url: str,
    user: str | None,
    password: str | None,
    *,
    name: str,
    wait: bool,
    tls: Tls | None = None,
    closed: Callable[[], None] | None = None,
    client: Client | None = None,
) -> Client:
    """A connected client, which reconnects for ever. Raises Unavailable: Refused for a wrong password or
    certificate, Absent where no server is.

    Its `stats` count as `dropped` the messages for which a subscription had no room.

    `wait`: stay until the server is there, else raise after two seconds. `closed` is called once when the
    connection is over for good, which must end the process. `client`: connect this one instead of a new one.
    """
    client = client or Client()
    events = _Events(client, _address(url), closed, wait)
    context = None if tls is None else tls.context()
    attempt = asyncio.create_task(_dial(client, url, user, password, name, context, events))
    refused = asyncio.create_task(events.refused.wait())
    try:
        await asyncio.wait(
            {attempt, refused}, timeout=None if wait else _PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if events.refused.is_set():
            raise Refused(f"NATS at {events.address} {events.refusal}.")
        if not attempt.done():
            raise Absent(
                f"No NATS server answers at {events.address}; start it or set NATS_URL"
                + (" (tls://... if it wants TLS)." if tls is None else ".")
            )
        attempt.result()
    except BaseException:
        await _abandon(attempt, client)
        raise
    finally:
        refused.cancel()
        attempt.cancel()
    events.up = True
    return client


async def _dial(
    client: Client,
    url: str,
    user: str | None,
    password: str | None,
    name: str,
    context: ssl.SSLContext | None,
    events: _Events,
) -> None:
    try:
        await client.connect(
            [part.strip() for part in url.split(",")],
            user=user,
            password=password,
            name=name,
            tls=context,
            tls_handshake_first=context is not None,
            inbox_prefix=_inbox_prefix(user or urlsplit(url).username),
            max_reconnect_attempts=-1,
            ping_interval=20,
            max_outstanding_pings=2,
            error_cb=events.on_error,
            disconnected_cb=events.on_disconnected,
            reconnected_cb=events.on_reconnected,
            closed_cb=events.on_closed,
        )
    except (Error, OSError, ValueError) as error:
        raise Unavailable(f"Cannot connect to NATS at {events.address}: {error}.") from error


async def _abandon(attempt: asyncio.Task[None], client: Client) -> None:
    """nats-py goes on trying after a cancelled connect unless the client is closed as well."""
    await tasks.end(attempt)
    await client.close()


def _inbox_prefix(user: str | None) -> str:
    return f"_INBOX.{user}" if user in _USERS else "_INBOX"


def _address(url: str) -> str:
    """The url without its user and password."""
    return ",".join(part.strip().rpartition("@")[2].removeprefix("nats://") for part in url.split(","))


class _Events:
    """What the client reports from its own tasks, logged; nats-py tells some faults nowhere else."""

    def __init__(self, client: Client, address: str, closed: Callable[[], None] | None, wait: bool) -> None:
        self._client = client
        self.address = address
        self._wait = wait
        self.refused = asyncio.Event()
        self.refusal = ""
        self.up = False
        self._closed = closed
        self._last = ""
        client.stats["dropped"] = 0

    async def on_error(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            self._on_dropped(error.subject)
            return
        text = str(error) or type(error).__name__
        if not self.up:
            self._judge(error, text)
        # An absent server is reported every two seconds: say it once, and never to a caller who gets it
        # as an exception anyway.
        known = text == self._last or not (self.up or self._wait)
        self._last = text
        (_log.debug if known else _log.warning)("nats_error", server=self.address, error=text)

    def _on_dropped(self, subject: str) -> None:
        """Each message that is lost is told: the first ones one by one, a flood by its doublings."""
        self._client.stats["dropped"] += 1
        dropped = self._client.stats["dropped"]
        if dropped & (dropped - 1) == 0:
            _log.warning("nats_slow_consumer", server=self.address, subject=subject, dropped=dropped)

    def _judge(self, error: Exception, text: str) -> None:
        """What no patience can mend."""
        if "authorization violation" in text.lower():
            self._refuse("refused the user or password; check NATS_USER and NATS_PASSWORD")
        elif reason := refusal(error):
            self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        self.refused.set()

    async def on_disconnected(self) -> None:
        if self.up and not self._client.is_closed:
            _log.warning("nats_disconnected", server=self.address)

    async def on_reconnected(self) -> None:
        self._last = ""
        _log.info("nats_reconnected", server=self.address)

    async def on_closed(self) -> None:
        if not self.up:
            return
        _log.info("nats_closed", server=self.address)
        if self._closed is not None:
            self._closed()
