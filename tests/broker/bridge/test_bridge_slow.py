"""Clients that are slow on purpose: each is dropped in time, its row is freed, and memory stays where it was."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from raw_http import Raw, post

from bridge.client import chat
from schemas import subjects
from tests.until import holds

if TYPE_CHECKING:
    from conftest import Script, Start

# So small that a stalled client's kernel takes next to nothing for it.
WINDOW = 4096
STREAM = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
PLAIN = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()


def drops(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons of the request lines."""
    lines = [record.msg for record in caplog.records if record.name == "bridge.http"]
    return [line["dropped"] for line in lines if isinstance(line, dict) and "dropped" in line]


def flood(script: Script, size: int, count: int) -> None:
    """An answer whose worker does not stop when it is cancelled."""

    async def answer(message: Msg) -> None:
        part = b"x" * size
        for number in range(1, count + 1):
            await script.chunk(message, number, part)
            if number % 16 == 0:
                await script.nc.flush()
        await script.end(message)

    script.answer = answer


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[list[Raw]]:
    """Connections to hang up after the test."""
    found: list[Raw] = []
    yield found
    for raw in found:
        await raw.close()


async def dribble(raw: Raw, data: bytes) -> bytes:
    """A byte at a time, until the other side has had enough; what it says, nothing if it just hangs up."""
    for byte in data:
        raw.writer.write(bytes([byte]))
        try:
            async with asyncio.timeout(0.03):
                return await raw.reader.read(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
    pytest.fail("it listened to all of it")


async def test_a_head_that_takes_too_long_is_hung_up_on(start: Start, opened: list[Raw]) -> None:
    raw = await Raw.connect(await start(client_timeout=0.3))
    opened.append(raw)
    assert await dribble(raw, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200) == b""


async def test_a_second_head_on_the_same_connection_too(start: Start, opened: list[Raw]) -> None:
    raw = await Raw.connect(await start(client_timeout=0.3))
    opened.append(raw)
    await raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await raw.answer()).status == 200
    assert await dribble(raw, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200) == b""


async def test_a_body_that_takes_too_long_is_a_408(start: Start, script: Script, opened: list[Raw]) -> None:
    raw = await Raw.connect(await start(client_timeout=0.3))
    opened.append(raw)
    await raw.send(post(b"x" * 1000)[:-1000])
    said = await dribble(raw, b"{" + b" " * 999)
    assert said.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in said
    assert script.requests.empty()


async def test_a_chunk_that_breaks_the_protocol_after_a_good_one_is_no_hang(
    start: Start, script: Script, opened: list[Raw]
) -> None:
    raw = await Raw.connect(await start(client_timeout=0.3))
    opened.append(raw)
    await raw.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    )
    await raw.send(b"zz\r\n")
    assert (await raw.answer()).status in (400, 408)
    await raw.over()


async def test_a_stream_that_nobody_reads_is_given_up_at_once_and_dropped_in_time(
    start: Start, script: Script, opened: list[Raw], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    flood(script, 32 * 1024, 1000)
    raw = await Raw.connect(await start(client_timeout=0.5), WINDOW)
    opened.append(raw)
    await raw.send(post(STREAM, "X-Request-Id: stalled"))
    assert await asyncio.wait_for(script.cancelled.get(), 10) == "stalled"
    await holds(lambda: drops(caplog))
    assert drops(caplog) == ["nothing was read for 0.5 seconds"]
    await raw.over()


async def test_a_stalled_reader_is_told_to_the_worker_however_much_may_wait(
    start: Start, script: Script, opened: list[Raw], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_MAX_PENDING_BYTES", 2**40)
    flood(script, 32 * 1024, 400)
    raw = await Raw.connect(await start(client_timeout=0.5), WINDOW)
    opened.append(raw)
    await raw.send(post(STREAM, "X-Request-Id: stalled"))
    assert await asyncio.wait_for(script.cancelled.get(), 10) == "stalled"


async def test_answers_that_nobody_reads_do_not_wait_for_ever(
    start: Start, script: Script, opened: list[Raw], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def answer(message: Msg) -> None:
        await script.nc.publish(message.reply, b"x" * 900_000, headers={subjects.FINISH: "stop"})

    script.answer = answer
    raw = await Raw.connect(await start(client_timeout=0.3), WINDOW)
    opened.append(raw)
    await raw.send(post(PLAIN) * 25)
    await holds(lambda: drops(caplog))
    await raw.over()
    assert script.requests.qsize() < 25


async def test_a_slow_reader_that_keeps_reading_gets_all_of_it(
    start: Start, script: Script, opened: list[Raw]
) -> None:
    script.play(*[b"x" * 1000] * 300)
    raw = await Raw.connect(await start(client_timeout=5), WINDOW)
    opened.append(raw)
    await raw.send(post(STREAM, "Connection: close"))
    got = b""
    async with asyncio.timeout(20):
        while part := await raw.reader.read(2000):
            got += part
            await asyncio.sleep(0.002)
    assert got.count(b"data: x") == 300
    assert b"[DONE]" in got
    assert script.cancelled.empty()


def rss(pid: int) -> int:
    """Resident bytes."""
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) * 1024


async def test_memory_stays_where_it_was_while_readers_stall(
    nats_server: str, script: Script, tmp_path: Path, opened: list[Raw]
) -> None:
    """Five readers, 60 MB for each: a bridge that kept what they do not read would be 300 MB larger."""
    settings = {
        "NATS_URL": nats_server,
        "NATS_USER": "bridge",
        "NATS_PASSWORD": "bridge-secret",
        "NATS_MLX_BRIDGE_PORT": "0",
        "NATS_MLX_DATA_DIR": str(tmp_path),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NATS_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.app", env=clean | settings, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        url = ""
        async for line in process.stderr:
            found = json.loads(line)
            url = found.get("url", url)
            if found["event"] == "nats_connected":
                break
        flood(script, 32 * 1024, 2000)
        async with aiohttp.ClientSession(url) as http:
            await (await http.get("/healthz")).read()
            before = rss(process.pid)
            for number in range(5):
                raw = await Raw.connect(http, WINDOW)
                opened.append(raw)
                await raw.send(post(STREAM, f"X-Request-Id: r{number}"))
            seen = {await asyncio.wait_for(script.cancelled.get(), 20) for _ in range(5)}
            assert seen == {f"r{number}" for number in range(5)}
            await asyncio.wait_for(asyncio.gather(*script.tasks), 30)
            await (await http.get("/readyz")).read()  # it still answers, after all that came before
            grown = rss(process.pid) - before
    finally:
        process.kill()
        await process.wait()
    assert grown < 60_000_000, f"{grown / 1e6:.0f} MB"
