"""The bridge as a process: it starts without NATS, finishes what runs, and ends by itself when it must."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from bridge import app
from bridge.client import Client
from bridge.settings import Settings
from schemas.errors import Unavailable
from schemas.runtime.connection import Refused, connect
from tests import loops

if TYPE_CHECKING:
    from conftest import Script
    from launching import Launch
    from nats.aio.msg import Msg

# Nothing listens on port 1.
NOWHERE = "nats://127.0.0.1:1"


async def test_it_is_alive_but_not_ready_while_nats_is_away(launch: Launch) -> None:
    bridge = await launch(NOWHERE)
    url = (await bridge.logged("listening"))["url"]
    async with aiohttp.ClientSession(url) as http:
        assert (await http.get("/healthz")).status == 200
        for asked in (
            http.get("/readyz"),
            http.get("/v1/models"),
            http.post("/v1/chat/completions", json={}),
        ):
            async with asked as got:
                assert got.status == 503
                assert "connection to NATS" in (await got.json())["error"]["message"]
        assert (await http.get("/")).status == 200
    bridge.process.send_signal(signal.SIGTERM)
    assert (await bridge.ended())[0] == 0


@loops.BOTH
async def test_a_running_answer_is_finished_after_sigterm_and_no_other_begins(
    launch: Launch, nats_server: str, script: Script, loop: str, tmp_path: Path
) -> None:
    finish = asyncio.Event()

    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await asyncio.wait_for(finish.wait(), 10)
        await script.end(message)

    script.answer = answer
    bridge = await launch(nats_server, **loops.environment(loop, tmp_path))
    line = await bridge.logged("listening")
    url = line["url"]
    assert line["loop"] == loop
    await bridge.logged("nats_connected")
    async with (
        aiohttp.ClientSession(url) as http,
        http.post("/v1/chat/completions", json={"stream": True}) as got,
    ):
        await got.content.readuntil(b"\n\n")
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("stopping")
        with pytest.raises(aiohttp.ClientConnectionError):
            await asyncio.wait_for(knock(http), 5)
        finish.set()
        assert await got.read() == b"data: [DONE]\n\n"
    line = await bridge.logged("request")
    assert (line["status"], line["chunks"], line["method"]) == (200, 1, "POST")
    assert (await bridge.ended())[0] == 0
    assert script.cancelled.empty()


async def knock(http: aiohttp.ClientSession) -> None:
    """Until nobody opens: that the bridge stops is written a moment before its door is closed."""
    while True:
        await http.get("/healthz", headers={"Connection": "close"})


@loops.BOTH
async def test_a_second_signal_kills(
    launch: Launch, nats_server: str, script: Script, loop: str, tmp_path: Path
) -> None:
    bridge = await launch(nats_server, **loops.environment(loop, tmp_path))
    url = (await bridge.logged("listening"))["url"]
    await bridge.logged("nats_connected")
    async with aiohttp.ClientSession(url) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json={}))
        await asyncio.wait_for(script.requests.get(), 5)
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("stopping")
        bridge.process.send_signal(signal.SIGTERM)
        with pytest.raises(aiohttp.ClientError):
            await asked
    assert (await bridge.ended())[0] == -signal.SIGTERM


async def test_an_answer_that_outlives_the_shutdown_is_told_and_cancelled(
    launch: Launch, nats_server: str, script: Script
) -> None:
    bridge = await launch(nats_server, NATS_MLX_BRIDGE_SHUTDOWN_TIMEOUT="2")
    url = (await bridge.logged("listening"))["url"]
    await bridge.logged("nats_connected")
    async with aiohttp.ClientSession(url) as http:
        asked = asyncio.create_task(http.post("/v1/chat/completions", json={}))
        await asyncio.wait_for(script.requests.get(), 5)
        streamed = asyncio.create_task(http.post("/v1/chat/completions", json={"stream": True}))
        await script.chunk(await asyncio.wait_for(script.requests.get(), 5), 1, b'{"a":1}')
        answer = await streamed
        bridge.process.send_signal(signal.SIGINT)
        for _ in range(2):
            assert await asyncio.wait_for(script.cancelled.get(), 5)
        whole = await asked
        assert (whole.status, (await whole.json())["error"]["type"]) == (503, "server_error")
        said = (await answer.text()).strip().split("\n\n")
    assert said[0] == 'data: {"a":1}'
    assert json.loads(said[1].removeprefix("data: "))["error"]["message"].startswith(
        "The bridge is shutting down"
    )
    assert len(said) == 2
    assert (await bridge.ended())[0] == 0


async def test_a_wrong_password_ends_it_with_a_clear_line(launch: Launch, nats_server: str) -> None:
    bridge = await launch(nats_server, password="wrong")
    code, errors = await bridge.ended()
    assert code == 1
    last = json.loads(errors.splitlines()[-1])
    assert last["event"] == "stopped"
    assert "NATS_PASSWORD" in last["reason"]
    assert "Traceback" not in errors


async def test_a_taken_port_is_one_clear_line(launch: Launch) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        code, errors = await (await launch(NOWHERE, NATS_MLX_BRIDGE_PORT=str(port))).ended()
    assert code == 1
    (line,) = errors.splitlines()
    assert f"127.0.0.1:{port}" in json.loads(line)["reason"]


async def test_a_bad_setting_is_one_line_and_code_2(launch: Launch) -> None:
    code, errors = await (await launch(NOWHERE, NATS_MLX_BRIDGE_PROT="1")).ended()
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "NATS_MLX_BRIDGE_PROT" in errors


async def test_it_ends_when_nats_closes_the_connection_for_good(
    nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, because the message that the server will not forgive must be sent past our checks.
    connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

    async def spy(*args: Any, **kwargs: Any) -> None:
        connected.set_result(await connect(*args, **kwargs))

    monkeypatch.setattr(app, "connect", spy)
    chosen = Settings.load(nats_url=nats_server, nats_user="bridge", nats_password="bridge-secret", port=0)
    running = asyncio.create_task(app.run(chosen))
    client = await asyncio.wait_for(connected, 5)
    await client.publish("llm.v1.chat", b"", headers={"Big": "x" * 2_000_000})
    with pytest.raises(Unavailable, match="for good"):
        await asyncio.wait_for(running, 5)


@pytest.mark.parametrize("wait", [True, False])
async def test_connect_raises_at_once_when_it_is_refused(nats_server: str, wait: bool) -> None:
    with pytest.raises(Refused):
        await asyncio.wait_for(connect(nats_server, "bridge", "wrong", name="t", wait=wait), 5)


async def test_connect_takes_credentials_from_the_url_and_uses_the_users_inbox(nats_server: str) -> None:
    url = nats_server.replace("//", "//bridge:bridge-secret@")
    nc = await connect(url, None, None, name="t", wait=False)
    assert nc.new_inbox().startswith("_INBOX.bridge.")
    await nc.close()


async def test_connect_does_not_wait_when_told_so() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await asyncio.wait_for(connect(NOWHERE, None, None, name="t", wait=False), 5)
