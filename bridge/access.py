"""Which NATS a command talks to, and as whom: what the settings say, else the `up` that runs here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from bridge import credentials
from bridge.client import Client
from bridge.client.gate import Gate
from bridge.credentials import User
from bridge.settings import Settings
from bridge.up import folder
from schemas.runtime.connection import Absent, connect
from schemas.runtime.tls import Tls


class Access(NamedTuple):
    url: str
    user: str | None
    password: str | None
    found: bool
    tls: Tls | None = None


def find(user: User, values: Settings) -> Access:
    """As `user` of a running `up`, unless the settings name a server or a user."""
    named = "nats_url" in values.model_fields_set
    running = folder.running(values.data_dir)
    ours = running is not None and (not named or values.nats_url == running.nats_url)
    if values.nats_user is None and running is not None and ours:
        password = credentials.read(values.data_dir).password(user)
        return Access(running.nats_url, user, password, True)
    url = running.nats_url if running is not None and ours else values.nats_url
    return Access(url, values.nats_user, values.password, named or ours, None if ours else values.tls)


@contextlib.asynccontextmanager
async def connected(user: User) -> AsyncIterator[Client]:
    """A connection with the rights of `user`, for one command."""
    access = find(user, Settings.load())
    try:
        nc = await connect(
            access.url, access.user, access.password, name="nats-mlx", wait=False, tls=access.tls
        )
    except Absent as error:
        if access.found:
            raise
        raise Absent(
            f"{error.message} No `nats-mlx up` runs here either: start it, or set NATS_URL, NATS_USER and "
            "NATS_PASSWORD."
        ) from None
    try:
        yield nc
    finally:
        await nc.close()


@contextlib.asynccontextmanager
async def reached(user: User, gate: Gate) -> AsyncIterator[Client]:
    """As connected(); a patient gate waits for a server that is not there yet. Raises GaveUp."""
    async with contextlib.AsyncExitStack() as stack:
        nc = None
        while nc is None:
            try:
                nc = await stack.enter_async_context(connected(user))
            except Absent as error:
                if not gate.patient:
                    raise
                await gate.reconnect(error.message.removesuffix("."))
        yield nc
