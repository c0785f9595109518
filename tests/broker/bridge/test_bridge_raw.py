"""Bytes that no well-behaved client sends: each gets an error as OpenAI has them, none a 500, none a hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
from raw_http import Raw, post

if TYPE_CHECKING:
    from conftest import Script, Start

GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

BAD = {
    "no http": (b"\x00" * 100 + b"\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "unknown version": (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "bytes in the path": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "escaped bytes in the path": (b"GET /%ff%00%0a HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (GET + b"Host: evil.example\r\n\r\n", 400),
    "half an address as host": (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 403),
    "half an address as origin": (GET + b"Origin: http://[::1\r\n\r\n", 403),
    "bytes as origin": (GET + b"Origin: \xff\xfe\r\n\r\n", 403),
    "a proxy's request": (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    "connect": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "trace": (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "options of all": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "options": (b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "no colon": (GET + b"Authorization Bearer hush\r\n\r\n", 400),
    "nul": (GET + b"X: a\x00b\r\n\r\n", 400),
    "a long header": (GET + b"Authorization: Bearer " + b"hush" * 3000 + b"\r\n\r\n", 431),
    "a long path": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    "many headers": (GET + b"".join(b"X-%d: a\r\n" % number for number in range(70)) + b"\r\n", 400),
    "a length beyond numbers": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    "a length beyond the limit": (POST + b"Content-Length: 9999999999\r\n\r\n", 413),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400),
    "length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "unknown transfer": (POST + b"Transfer-Encoding: banana\r\n\r\n{}", 400),
    "no chunk": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "a short chunk": (CHUNKED + b"5\r\n{}\r\n0\r\n\r\n", 400),
    "an endless chunk": (CHUNKED + b"ffffffffffffffffff\r\n{}", 400),
    "no gzip": (POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk", 400),
    "unknown encoding": (POST + b"Content-Encoding: banana\r\nContent-Length: 1\r\n\r\n{", 400),
    "two types": (POST + b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 1\r\n\r\n{", 400),
    "bytes as type": (POST + b"Content-Type: ;=\xff\r\nContent-Length: 1\r\n\r\n{", 415),
    "unknown expectation": (POST + b"Expect: pizza\r\nContent-Length: 2\r\n\r\n{}", 417),
    "an expectation of nothing": (b"GET /none HTTP/1.1\r\nHost: localhost\r\nExpect: pizza\r\n\r\n", 417),
    "an unreadable expectation": (POST + b"Expect: 100-\xcaontinue\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a number too long": (post(b'{"model":' + b"1" * 5000 + b"}"), 400),
    "half a surrogate": (post(b'{"model":"\\ud800"}'), 400),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), BAD.values(), ids=BAD)
async def test_what_is_wrong_is_an_error_as_ever(
    http: aiohttp.ClientSession, script: Script, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    caplog.set_level("INFO")
    raw = await Raw.connect(http)
    await raw.send(sent)
    got = await raw.answer()
    await raw.close()
    assert (got.status, got.error["type"]) == (status, "invalid_request_error")
    assert got.headers["content-type"].startswith("application/json")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["server"] == "nats-mlx"
    assert got.headers["x-request-id"] in caplog.text
    assert "hush" not in caplog.text
    assert "Traceback" not in caplog.text
    assert script.requests.empty()


@pytest.mark.parametrize("header", ["X-Request-Id", "Traceparent", "Llm-Deadline", "Accept", "X-Anything"])
async def test_bytes_in_a_header_are_nobodys_problem(
    http: aiohttp.ClientSession, script: Script, header: str
) -> None:
    raw = await Raw.connect(http)
    await raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + header.encode() + b": \xff\xfe\r\n\r\n")
    assert (await raw.answer()).status == 200
    await raw.close()


async def test_an_old_client_names_no_host(http: aiohttp.ClientSession, script: Script) -> None:
    raw = await Raw.connect(http)
    await raw.send(b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert (await raw.answer()).status == 200
    await raw.over()
    await raw.close()


@pytest.mark.parametrize("path", ["/", "/v1/models", "/healthz"])
async def test_head_is_get_without_its_body(http: aiohttp.ClientSession, script: Script, path: str) -> None:
    async with http.head(path) as got:
        assert (got.status, await got.read()) == (200, b"")
    async with http.head("/v1/chat/completions") as got:
        assert (got.status, await got.read()) == (405, b"")


async def test_too_many_messages_and_too_deep_ones_are_named(start: Start, script: Script) -> None:
    http = await start(max_messages=2)
    several = [{"role": "user", "content": "hi"}] * 3
    async with http.post("/v1/chat/completions", json={"messages": several}) as got:
        error = (await got.json())["error"]
        assert (got.status, error["param"]) == (400, "messages")
        assert "3 messages" in error["message"]
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    async with http.post("/v1/chat/completions", json={"messages": several, "tools": deep}) as got:
        assert (got.status, (await got.json())["error"]["param"]) == (400, "tools")
    assert script.requests.empty()


async def test_a_small_bomb_is_only_as_large_as_a_body_may_be(
    http: aiohttp.ClientSession, script: Script
) -> None:
    import gzip

    bomb = gzip.compress(b" " * 50_000_000)
    async with http.post("/v1/chat/completions", data=bomb, headers={"Content-Encoding": "gzip"}) as got:
        assert got.status == 413
