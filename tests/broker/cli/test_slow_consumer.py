"""What nats-py drops for want of room is told and counted: it would be lost without a word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from nats.aio.msg import Msg

from schemas.runtime import connection
from schemas.runtime.connection import connect

if TYPE_CHECKING:
    from conftest import Server


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    info = debug = warning


async def test_what_is_dropped_is_told_and_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(connection, "_log", log)
    password = server.credentials.password("operator")
    nc = await connect(server.url, "operator", password, name="test", wait=False)
    taken, busy = [], asyncio.Event()

    async def slowly(msg: Msg) -> None:
        await busy.wait()
        taken.append(msg)

    await nc.subscribe("news", cb=slowly, pending_msgs_limit=3)
    try:
        assert nc.stats["dropped"] == 0
        for _ in range(20):
            await nc.publish("news", b"x")
        await nc.flush()
        busy.set()
    finally:
        await nc.drain()
    dropped = nc.stats["dropped"]
    assert 16 <= dropped == 20 - len(taken)
    told = [fields for event, fields in log.lines if event == "nats_slow_consumer"]
    assert [fields["dropped"] for fields in told] == [1, 2, 4, 8, 16]
    assert {fields["subject"] for fields in told} == {"news"}
