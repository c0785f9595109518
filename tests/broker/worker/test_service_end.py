"""A service leaves its subjects without losing a request that the server had routed to it already."""

from __future__ import annotations

import pytest
from nats.aio.msg import Msg

from tests.broker.cli.conftest import Server
from worker.transport.micro import Endpoint, Service


async def test_the_server_is_told_before_it_is_asked_whether_it_has_sent_all(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in dozens of restarts under load, a request came after the answer to that question."""
    nc = await server.connect("operator")

    async def answer(msg: Msg) -> str | None:
        return None

    service = Service(nc, "llm", "1.0.0", "test", {}, [Endpoint("chat", "llm.v1.chat", answer, {})])
    await service.start()
    await nc.flush()
    written: list[bytes] = []
    transport = nc._transport
    write, writelines = transport.write, transport.writelines
    monkeypatch.setattr(transport, "write", lambda data: (written.append(data), write(data))[1])
    monkeypatch.setattr(transport, "writelines", lambda data: (written.extend(data), writelines(data))[1])
    await service.close_endpoints()
    wire = b"".join(written)
    assert -1 < wire.find(b"UNSUB") < wire.find(b"PING"), wire
    await nc.close()
