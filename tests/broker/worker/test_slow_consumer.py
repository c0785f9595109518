"""A subscription that cannot keep up drops messages: that is said and counted, and does not flood the log."""

from __future__ import annotations

import asyncio
import logging

import pytest
from nats.aio.msg import Msg

from schemas.runtime.connection import connect
from tests.broker.cli.conftest import Server

SENT = 250


async def test_dropped_messages_are_counted_and_said_now_and_then(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    password = server.credentials.password("operator")
    nc = await connect(server.url, "operator", password, name="slow", wait=False)
    go, taken = asyncio.Event(), 0

    async def dawdle(msg: Msg) -> None:
        nonlocal taken
        await go.wait()
        taken += 1

    slow = await nc.subscribe("slow.*", cb=dawdle, pending_msgs_limit=10)
    with caplog.at_level(logging.WARNING, logger="nats"):
        for number in range(SENT):
            await nc.publish(f"slow.{number}")
        await nc.flush()
    go.set()
    await slow.drain()
    said = [record.msg for record in caplog.records if record.msg["event"] == "nats_slow_consumer"]
    assert [line["dropped"] for line in said] == [1, 10, 100]
    assert {line["subject"] for line in said} == {"slow.*"}
    assert taken <= 11
    await nc.close()
