"""`/v1/responses` where there is no answer: refused, broken, not to be kept, nobody there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import openai
import pytest
from nats.aio.msg import Msg

from bridge.client import responses as shelf
from schemas import streams
from schemas.codec import encode
from schemas.completion import ChatChunk
from schemas.errors import BadRequest
from tests.broker.bridge.responding import Model
from worker.jobs import Ended, Text
from worker.transport import assembly

if TYPE_CHECKING:
    from conftest import Script

PARIS = (Text("Pa"), Text("ris"), Ended("stop"))


@pytest.mark.parametrize("name", ["resp_" + "0" * 32, "resp_1", "*", "resp_.>", "a.b"])
async def test_a_response_that_never_was(http: aiohttp.ClientSession, model: Model, name: str) -> None:
    async with http.get(f"/v1/responses/{name}") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "response_not_found")
    async with http.post("/v1/responses", json={"input": "hi", "previous_response_id": name}) as got:
        error = (await got.json())["error"]
        assert (got.status, error["param"]) == (400, "previous_response_id")
        assert error["code"] == "previous_response_not_found"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_of_the_worker_names_the_field_that_was_sent(
    http: aiohttp.ClientSession, model: Model, script: Script, stream: bool
) -> None:
    refusal = BadRequest("`response_format` has `not`.", param="response_format", code="invalid_value")
    script.answer = lambda message: script.fail(message, encode(refusal.body()), 400)
    async with http.post("/v1/responses", json={"input": "hi", "stream": stream}) as got:
        assert (got.status, got.content_type) == (400, "application/json")
        error = (await got.json())["error"]
    assert (error["param"], error["message"]) == ("text.format", "`text.format` has `not`.")


async def test_an_error_in_a_stream(sdk: openai.AsyncOpenAI, model: Model) -> None:
    model.says(
        Text("Par"), broken=b'{"error":{"message":"no","type":"server_error","param":null,"code":"x"}}'
    )
    stream = await sdk.responses.create(input="Where?", stream=True)
    *_, error, failed = [event async for event in stream]
    assert error.type == "error"
    assert (error.message, error.code) == ("no", "x")
    assert failed.type == "response.failed"
    assert failed.response.output_text == "Par"
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(failed.response.id)


@pytest.mark.parametrize("stream", [False, True])
async def test_nobody_there(http: aiohttp.ClientSession, model: Model, stream: bool) -> None:
    async with http.post("/v1/responses", json={"input": "hi", "model": "none", "stream": stream}) as got:
        assert got.status == 503
        assert "No worker is there" in (await got.json())["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_kept_is_no_answer(
    http: aiohttp.ClientSession, model: Model, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """Whoever was told that it is there would look for it in vain."""
    model.says(*PARIS)
    monkeypatch.setattr(shelf, "_BUCKET", streams.WORKERS)  # where the bridge may not write
    monkeypatch.setattr("bridge.client.stored._TIMEOUT", 0.1)
    async with http.post("/v1/responses", json={"input": "hi", "stream": stream}) as got:
        text = await got.text()
        assert got.status == (200 if stream else 503)
    if stream:
        assert "event: response.completed" not in text
        assert "event: response.failed" in text


async def test_too_much_to_be_kept_is_refused_before_anybody_works(
    http: aiohttp.ClientSession, model: Model
) -> None:
    model.says(*PARIS)
    long = "x" * streams.RESPONSES.max_value_size
    async with http.post("/v1/responses", json={"input": long}) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (413, "response_too_large")
    assert model.asked == []
    async with http.post("/v1/responses", json={"input": long, "store": False}) as got:
        assert got.status == 200


async def test_hanging_up_cancels(http: aiohttp.ClientSession, model: Model, script: Script) -> None:
    async def answer(message: Msg) -> None:
        opening = ChatChunk("c", 1, "m", [assembly.opening(0)])
        await script.chunk(message, 1, encode(opening))

    script.answer = answer
    got = await http.post(
        "/v1/responses", json={"input": "hi", "stream": True}, headers={"X-Request-Id": "mine"}
    )
    await got.content.readline()
    got.close()
    assert await asyncio.wait_for(script.cancelled.get(), 5) == "mine"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/audio/speech", "/v1/images/generations"])
async def test_what_is_not_here_says_so(http: aiohttp.ClientSession, path: str) -> None:
    async with http.post(path, json={}) as got:
        error = (await got.json())["error"]
        assert (got.status, error["code"]) == (404, "unknown_url")
        assert "here" in error["message"]
