"""What a worker finds of those before it on its machine."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import platform
import subprocess
import sys

from nats.js.kv import KeyValue

from schemas import streams
from schemas.codec import encode
from schemas.presence import Presence
from schemas.runtime import presence
from tests.broker.cli.conftest import Server
from worker.transport import topology
from worker.transport.presence import clear_away


async def test_the_entry_of_one_that_died_here_is_taken_down(server: Server) -> None:
    nc = await server.connect("worker")
    js = nc.jetstream()
    await topology.ensure(js)
    bucket = await js.key_value(streams.WORKERS.bucket)
    assert not await clear_away(nc)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    await bucket.put("stranger", b"{}")  # of another version, or by hand: no word about anybody
    await _enter(bucket, "elsewhere", gone.pid, host="another-machine")
    await _enter(bucket, "neighbour", os.getppid())
    assert not await clear_away(nc)
    await _enter(bucket, "dead", gone.pid)
    await _enter(bucket, "container", os.getpid())
    assert await clear_away(nc)
    assert [one.worker for one in await presence.workers(nc)] == ["elsewhere", "neighbour"]
    assert (await bucket.get("stranger")).value == b"{}"
    await nc.close()
    assert server.denied == []


async def test_who_renews_its_entry_is_seen_at_every_moment(server: Server) -> None:
    """Work for a model that nobody has is given up at once: for one that somebody has, it would be lost."""
    nc, other = await server.connect("worker"), await server.connect("worker")
    await topology.ensure(nc.jetstream())
    bucket = await other.jetstream().key_value(streams.WORKERS.bucket)
    await _enter(bucket, "other", os.getpid())
    looking = True

    async def renew() -> None:
        while looking:
            await asyncio.gather(*(_enter(bucket, "other", os.getpid()) for _ in range(8)))

    renewing = asyncio.create_task(renew())
    for _ in range(200):
        assert [one.worker for one in await presence.workers(nc)] == ["other"]
    looking = False
    await renewing
    await nc.close()
    await other.close()


async def _enter(bucket: KeyValue, worker: str, pid: int, host: str | None = None) -> None:
    now = dt.datetime.now(dt.UTC)
    presence = Presence(
        worker=worker, version="0", pid=pid, host=host or platform.node(), models=[], slots=1, running=0, waiting=0,
        prompt_tokens_per_second=0, decode_tokens_per_second=0, memory_bytes=0, started_at=now, updated_at=now,
    )  # fmt: skip
    await bucket.put(worker, encode(presence))
