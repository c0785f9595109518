"""What clients send to `POST /v1/chat/completions`, the good and the bad of it, the official SDK included."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING

import aiohttp
import openai
import pytest
from nats.aio.msg import Msg

from bridge.client import chat
from schemas import subjects, trace

if TYPE_CHECKING:
    from conftest import Script

URL = "/v1/chat/completions"
REFUSAL = b'{"error":{"message":"no","type":"invalid_request_error","param":"model","code":"x"}}'


def ask(stream: bool = False, **fields: object) -> bytes:
    """The bytes of a request."""
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": stream} | fields).encode()


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff", b'{"model":}', b"[" * 100_000])
async def test_what_is_not_a_json_object_is_a_400(
    http: aiohttp.ClientSession, script: Script, body: bytes
) -> None:
    async with http.post(URL, data=body) as got:
        assert got.status == 400
        assert (await got.json())["error"]["type"] == "invalid_request_error"
    assert script.requests.empty()


@pytest.mark.parametrize(("value", "kind"), [(None, "null"), ("hi", "str"), ({}, "object")])
async def test_what_are_no_messages_is_told(http: aiohttp.ClientSession, value: object, kind: str) -> None:
    async with http.post(URL, data=ask(messages=value)) as got:
        assert got.status == 400
        error = (await got.json())["error"]
    assert error["param"] == "messages"
    assert error["message"] == f"Invalid value for `messages`: Expected `array`, got `{kind}`."


async def test_fields_of_a_wrong_type_are_left_to_the_worker(
    http: aiohttp.ClientSession, script: Script
) -> None:
    script.answer = lambda message: script.fail(message, REFUSAL, 400)
    async with http.post(
        URL, data=b'{"model":5,"stream":"yes"}', headers={"Content-Type": "application/x+json"}
    ) as got:
        assert (got.status, await got.read()) == (400, REFUSAL)
    assert script.requests.get_nowait().subject == "llm.v1.chat"


async def test_the_largest_body_arrives_and_one_more_byte_is_a_413(
    http: aiohttp.ClientSession, script: Script
) -> None:
    async def answer(message: Msg) -> None:
        await script.nc.publish(message.reply, str(len(message.data)).encode())

    script.answer = answer
    largest = 1024 * 1024 - 8 * 1024
    empty = len(ask(pad=""))
    headers = {"X-Request-Id": "r" * 64}
    async with http.post(URL, data=ask(pad="x" * (largest - empty)), headers=headers) as got:
        assert (got.status, await got.text()) == (200, str(largest))
    async with http.post(URL, data=ask(pad="x" * (largest - empty + 1))) as got:
        assert got.status == 413
        assert (await got.json())["error"]["code"] == "payload_too_large"
    async with http.post(URL, data=io.BytesIO(ask(pad="x" * 2_000_000))) as got:
        assert got.status == 413


@pytest.mark.parametrize("bad", ["a.b", "a b", "*", "x" * 65, "é"])
async def test_a_request_id_that_cannot_travel_is_replaced(
    http: aiohttp.ClientSession, script: Script, bad: str
) -> None:
    script.answer = lambda message: script.fail(message, REFUSAL, 400)
    async with http.post(URL, data=ask(), headers={"X-Request-Id": bad, "traceparent": "junk"}) as got:
        new = got.headers["X-Request-Id"]
    assert new != bad
    sent = script.requests.get_nowait().headers
    names = {subjects.REQUEST_ID, subjects.CALLER, subjects.TRACEPARENT}
    assert (sent[subjects.REQUEST_ID], sent.keys()) == (new, names)
    assert trace.parse(sent[subjects.TRACEPARENT])


async def test_nobody_cancels_a_request_of_somebody_else_by_taking_its_id(
    http: aiohttp.ClientSession, script: Script
) -> None:
    script.play(b"1", end=False)
    headers = {"X-Request-Id": "taken"}
    first = await http.post(URL, data=ask(stream=True), headers=headers)
    second = await http.post(URL, data=ask(stream=True), headers=headers)
    other = second.headers["X-Request-Id"]
    assert (first.headers["X-Request-Id"], other != "taken") == ("taken", True)
    second.close()
    assert await asyncio.wait_for(script.cancelled.get(), 5) == other
    first.close()
    assert await asyncio.wait_for(script.cancelled.get(), 5) == "taken"
    script.answer = lambda message: script.fail(message, REFUSAL, 400)
    async with http.post(URL, data=ask(), headers=headers) as again:
        assert again.headers["X-Request-Id"] == "taken"


async def test_the_official_sdk_is_at_home(http: aiohttp.ClientSession, script: Script) -> None:
    head = '"id":"chatcmpl-1","created":1,"model":"m"'
    chunk = '{%s,"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%s"}}]}'
    async with http.get("/healthz") as got:
        base_url = str(got.url.with_path("/v1"))
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)
    async with client:
        script.play(*[(chunk % (head, text)).encode() for text in "abc"])
        stream = await client.chat.completions.create(
            model=script.model, messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert [part.choices[0].delta.content async for part in stream] == ["a", "b", "c"]
        script.answer = lambda message: script.fail(message, REFUSAL, 404)
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(
                model=script.model, messages=[{"role": "user", "content": "hi"}]
            )


async def test_a_fault_of_ours_in_the_middle_breaks_the_connection_and_cancels(
    http: aiohttp.ClientSession, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ValueError("secret")

    begun = asyncio.Event()

    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await asyncio.wait_for(begun.wait(), 5)
        await script.chunk(message, 2, b"2")

    script.answer = answer
    async with http.post(URL, data=ask(stream=True), headers={"X-Request-Id": "broken"}) as got:
        await got.content.readuntil(b"\n\n")
        monkeypatch.setattr(chat, "_reply", broken)
        begun.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()
    assert await asyncio.wait_for(script.cancelled.get(), 5) == "broken"


async def test_a_body_that_cannot_be_decoded_is_a_400(http: aiohttp.ClientSession) -> None:
    async with http.post(URL, data=b"junk", headers={"Content-Encoding": "gzip"}) as got:
        assert got.status == 400
        error = (await got.json())["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_body")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", URL), ("POST", "/nowhere"), ("PUT", URL), ("GET", "/healthz")]
)
async def test_a_connection_that_is_about_to_close_says_so(
    http: aiohttp.ClientSession, method: str, path: str
) -> None:
    """Else the client's next request goes there, and nobody answers it."""
    async with http.request(method, path, data=b"junk", headers={"Content-Encoding": "gzip"}) as got:
        assert got.headers["Connection"] == "close"
    async with http.request(method, path, data=b"{}") as got:
        assert "Connection" not in got.headers
