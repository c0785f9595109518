"""Requests cut, doubled and filled with what hurts parsers: no 500, no hang, an id on every error."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

import aiohttp
import pytest
from raw_http import Raw, post

if TYPE_CHECKING:
    from conftest import Script, Start

SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(10**9))
COUNT, AT_ONCE = 1000, 100

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n",
    b"GET /v1/models/abc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer nmx_x\r\n\r\n",
    b"OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\nOrigin: http://a.b\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    post(b'{"model":"x","stream":true,"messages":[{"role":"user","content":"hi"}]}', "X-Request-Id: a"),
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
    b'\r\n5\r\n{"mod\r\n3\r\nel"\r\n0\r\n\r\n',
]
HURTS = [
    b"\xff", b"\x00", b"\r\n", b"%", b"%ff", b":", b" ", b"\t", b'"', b"\\ud800", b"[", b"{", b"-1", b"9" * 30,
    b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Content-Encoding: gzip\r\n", b"Range: bytes=0-\r\n", b"Expect: x\r\n", b"Host: [::\r\n", b"Origin: //\r\n",
    b"Authorization: Basic ==\r\n", b"..", b"//", b"*", b"HTTP/1.0", b"HEAD", b"null", b"1e999", b"\xed\xa0\x80",
]  # fmt: skip


def mutated(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(REQUESTS))
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0 | 1:
                data[at:at] = dice.choice(HURTS)
            case 2:
                del data[at : at + dice.randint(1, 8)]
            case _:
                lines = bytes(data).split(b"\r\n")
                lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))
                data = bytearray(b"\r\n".join(lines))
    return bytes(data)


async def tried(http: aiohttp.ClientSession, data: bytes) -> bytes:
    """The first answer's head; nothing where the bridge hung up on half a request."""
    raw = await Raw.connect(http)
    got = b""
    try:
        await raw.send(data)
        async with asyncio.timeout(15):
            while b"\r\n\r\n" not in got and (part := await raw.reader.read(65536)):
                got += part
    except ConnectionError:
        pass
    finally:
        await raw.close()
    return got.partition(b"\r\n\r\n")[0]


async def test_nothing_hurts(start: Start, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    http = await start(client_timeout=0.5, request_timeout=0.5)
    dice = random.Random(SEED)
    for _ in range(COUNT // AT_ONCE):
        sent = [mutated(dice) for _ in range(AT_ONCE)]
        for data, head in zip(sent, await asyncio.gather(*(tried(http, one) for one in sent)), strict=True):
            status = head[9:12]
            why = f"FUZZ_SEED={SEED}: {data!r} -> {head!r}"
            assert status in (b"", b"503", b"504") or status[:1] in b"124", why
            assert status[:1] not in (b"4", b"5") or b"x-request-id:" in head.lower(), why
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
