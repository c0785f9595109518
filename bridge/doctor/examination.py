"""All checks in their order. One that cannot be made says why, and the others go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from bridge import credentials
from bridge.access import Access, find
from bridge.client import Client, examine
from bridge.doctor import house, machine, ports
from bridge.doctor.finding import Finding, failed, ok, skipped
from bridge.settings import Settings
from schemas import streams
from schemas.errors import LlmError, Unavailable
from schemas.runtime import presence
from schemas.runtime.connection import Refused, connect

# Users of nats.conf that see no more of the queue than their own work needs.
_BLIND = {"publisher", "worker", "bridge"}


async def examination(settings: Settings) -> AsyncGenerator[Finding]:
    """Findings as they are made."""
    async for finding in _nats(settings):
        yield finding
    yield await ports.bridge(settings)
    report = await asyncio.to_thread(machine.report)
    if isinstance(report, Finding):
        yield report
        yield skipped("memory", "the model is not known")
    else:
        yield machine.model(report)
        yield machine.memory(report)
        yield machine.disk("disk cache", Path(report.cache))
    yield machine.disk("disk data", settings.data_dir)
    yield machine.keys_file(settings)
    yield machine.sleep()


async def _nats(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        access = find("operator", settings)
    except (LlmError, OSError) as error:
        why = error.message if isinstance(error, LlmError) else f"{error.filename}: {error.strerror}"
        yield failed("credentials", why, "mend credentials.env, or set NATS_USER and NATS_PASSWORD")
        return
    try:
        async with _session(access) as nc:
            yield house.server(access.url.rpartition("@")[2], examine.version(nc), examine.payload(nc))
            async for finding in _logins(access, settings):
                yield finding
            if access.user in _BLIND:
                yield skipped("queue", f"{access.user} may not look at it: only `operator` may")
                return
            async for finding in _queue(nc):
                yield finding
    except Refused as error:
        yield failed("server", error.message, "set NATS_USER and NATS_PASSWORD as the server knows them")
    except Unavailable as error:
        yield failed("server", error.message, "`nats-mlx up` starts one")
        yield ports.server(access.url)


@contextlib.asynccontextmanager
async def _session(access: Access) -> AsyncIterator[Client]:
    nc = await connect(
        access.url, access.user, access.password, name="nats-mlx doctor", wait=False, tls=access.tls
    )
    try:
        yield nc
    finally:
        await nc.close()


async def _logins(access: Access, settings: Settings) -> AsyncGenerator[Finding]:
    """Of one user that the settings name, else of all whose passwords `up` keeps here."""
    if settings.nats_user is not None or access.user is None:
        yield await _login(access)
        return
    kept = credentials.read(settings.data_dir)
    for user in credentials.USERS:
        try:
            password = kept.password(user)
        except Unavailable as error:
            yield skipped(f"login {user}", error.message)
            continue
        yield await _login(access._replace(user=user, password=password))


async def _login(access: Access) -> Finding:
    check = f"login {access.user or 'without a user'}"
    try:
        async with _session(access) as nc:
            allowed = await examine.may(nc, access.user or "")
    except Unavailable as error:
        return failed(check, error.message, "start the server with the passwords of credentials.env")
    if allowed is None:
        return skipped(check, "it gets in; its rights are not those of a user of nats.conf")
    if not allowed:
        return failed(
            check, "it gets in, and lacks its rights", "start the server with the project's nats.conf"
        )
    return ok(check, "it gets in and has its rights")


async def _queue(nc: Client) -> AsyncGenerator[Finding]:
    account = await examine.account(nc)
    yield house.jetstream(account)
    if account is None:
        yield skipped("queue", "without JetStream there is none")
        return
    stamp = None
    for wanted in (*streams.STREAMS, *streams.BUCKETS):
        name = streams.stream_of(wanted) if isinstance(wanted, streams.Bucket) else wanted.name
        found = await examine.stream(nc, name)
        config, stamp = found if found is not None else (None, stamp)
        yield house.layout(name, wanted, config)
    for consumer in streams.CONSUMERS:
        yield house.consumer(consumer, await examine.consumer(nc, consumer.stream, consumer.durable_name))
    yield house.clock(stamp)
    try:
        present = await presence.workers(nc)
    except Unavailable as error:
        yield failed("workers", error.message, "see the server's log")
        return
    for finding in house.workers(present):
        yield finding
