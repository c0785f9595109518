"""Each error as OpenAI's SDK knows it, from the real bridge: its class, its body, and the id to ask about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2 as httpx
import openai
import pytest
from nats.aio.msg import Msg

from bridge import keys
from bridge.keys import KeyFile, Scope
from tests.broker.bridge.working import Work

if TYPE_CHECKING:
    from conftest import Script, Start

HI: Any = [{"role": "user", "content": "hi"}]
Call = Callable[[openai.AsyncOpenAI], Awaitable[Any]]


def sdk(http: aiohttp.ClientSession, key: str = "none", **more: Any) -> openai.AsyncOpenAI:
    url = f"{str(http._base_url).rstrip('/')}/v1"
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, **more)


async def failed(client: openai.AsyncOpenAI, call: Call) -> openai.APIStatusError:
    """The error, which has OpenAI's shape whatever it is."""
    async with client:
        with pytest.raises(openai.APIStatusError) as caught:
            await call(client)
    error = caught.value
    assert set(error.response.json()["error"]) == {"message", "type", "param", "code"}
    assert error.response.json()["error"]["message"].endswith(".")
    assert error.request_id and error.request_id == error.response.headers["x-request-id"]
    assert error.response.headers["content-type"].startswith("application/json")
    return error


def chat(**fields: Any) -> Call:
    return lambda client: client.chat.completions.create(
        **({"model": "Org/Tiny-1.0", "messages": HI} | fields)
    )


async def test_400_what_can_never_succeed(http: aiohttp.ClientSession, script: Script) -> None:
    error = await failed(sdk(http), chat(messages=HI * 3000))
    assert type(error) is openai.BadRequestError
    assert (error.param, error.type) == ("messages", "invalid_request_error")


async def test_401_and_403_who_may_not(start: Start, script: Script, tmp_path: Path) -> None:
    token, key = keys.make("nas", [Scope.BATCH])
    KeyFile(tmp_path / "keys.json").add(key)
    http = await start()
    error = await failed(sdk(http, "wrong"), chat())
    assert type(error) is openai.AuthenticationError
    assert (error.status_code, error.code) == (401, "invalid_api_key")
    assert "WWW-Authenticate" in error.response.headers
    error = await failed(sdk(http, token), chat())
    assert type(error) is openai.PermissionDeniedError
    assert (error.status_code, error.code) == (403, "missing_scope")


async def test_404_a_model_that_there_is_not(http: aiohttp.ClientSession, script: Script) -> None:
    await script.present()
    for call in (chat(model="nobody/has-this"), lambda client: client.models.retrieve("nobody/has-this")):
        error = await failed(sdk(http), call)
        assert type(error) is openai.NotFoundError
        assert (error.code, error.param) == ("model_not_found", "model")


@pytest.mark.parametrize("name", ["Org/Tiny-1.0", "tiny", "org-tiny-1-0"])
async def test_a_model_is_retrieved_by_each_of_its_names(
    http: aiohttp.ClientSession, script: Script, name: str
) -> None:
    await script.present()
    async with sdk(http) as client:
        assert (await client.models.retrieve(name)).id == script.model


ABSENT: list[tuple[str, Call]] = [
    ("embeddings", lambda client: client.embeddings.create(model="m", input="a")),
    ("speech", lambda client: client.audio.speech.create(model="m", voice="v", input="a")),
    ("transcripts", lambda client: client.audio.transcriptions.create(model="m", file=b"a")),
    ("images", lambda client: client.images.generate(prompt="a")),
    ("moderations", lambda client: client.moderations.create(input="a")),
    ("fine-tuning", lambda client: client.fine_tuning.jobs.list()),
    ("assistants", lambda client: client.get("/assistants", cast_to=object)),
    ("threads", lambda client: client.post("/threads", cast_to=object)),
    ("vector stores", lambda client: client.vector_stores.list()),
    ("videos", lambda client: client.get("/videos", cast_to=object)),
    ("conversations", lambda client: client.conversations.create()),
    ("Unknown path", lambda client: client.get("/no/such/thing", cast_to=object)),
]


@pytest.mark.parametrize(("what", "call"), ABSENT, ids=[what for what, _ in ABSENT])
async def test_404_what_is_not_here_says_so(http: aiohttp.ClientSession, what: str, call: Call) -> None:
    error = await failed(sdk(http), call)
    assert type(error) is openai.NotFoundError
    assert error.code == "unknown_url"
    assert what in error.message


async def test_405_another_method(http: aiohttp.ClientSession) -> None:
    error = await failed(sdk(http), lambda client: client.get("/completions", cast_to=object))
    assert (error.status_code, error.code) == (405, "method_not_allowed")
    assert error.response.headers["Allow"] == "POST"


class Halting(httpx.AsyncHTTPTransport):
    """Sends the first byte of a body, and the others when it is too late."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.stream = _Halves(await request.aread())
        return await super().handle_async_request(request)


class _Halves(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[:1]
        await asyncio.sleep(3)
        yield self._body[1:]


async def test_408_a_body_that_does_not_come(start: Start) -> None:
    http = await start(client_timeout=0.5)
    client = sdk(http, http_client=httpx.AsyncClient(transport=Halting()))
    error = await failed(client, chat())
    assert (error.status_code, error.code) == (408, "request_timeout")


async def test_409_not_as_things_are(http: aiohttp.ClientSession, work: Work) -> None:
    ack = await work.operator.jetstream().publish("articles.norm.coin.a", b"{}")
    await work.bury("a", sequence=ack.seq)
    error = await failed(sdk(http), lambda client: client.post("/../dead/coin/a/retry", cast_to=object))
    assert type(error) is openai.ConflictError


async def test_413_too_much(http: aiohttp.ClientSession) -> None:
    error = await failed(sdk(http), chat(messages=[{"role": "user", "content": "x" * 2_000_000}]))
    assert (error.status_code, error.code) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/responses"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_415_what_is_no_json(http: aiohttp.ClientSession, path: str, kind: str) -> None:
    def call(client: openai.AsyncOpenAI) -> Awaitable[Any]:
        options: Any = {"headers": {"Content-Type": kind}}
        return client.post(path, cast_to=object, body={}, options=options)

    error = await failed(sdk(http), call)
    assert (error.status_code, error.code) == (415, "unsupported_media_type")
    assert kind in error.message


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.x+json", None])
async def test_what_is_json_may_say_it_in_many_ways(
    http: aiohttp.ClientSession, script: Script, kind: str | None
) -> None:
    script.play(b"{}")
    async with aiohttp.ClientSession(http._base_url, skip_auto_headers=["Content-Type"]) as plain:
        headers = {"Content-Type": kind} if kind else {}
        async with plain.post("/v1/completions", data=b'{"prompt":"a"}', headers=headers) as got:
            assert got.status == 200


async def test_422_what_is_json_and_no_article(http: aiohttp.ClientSession, work: Work) -> None:
    error = await failed(
        sdk(http), lambda client: client.post("/../articles", cast_to=object, body={"title": "t"})
    )
    assert type(error) is openai.UnprocessableEntityError
    assert (error.param, error.code) == ("body", "missing_required_parameter")


async def test_429_too_often(start: Start, script: Script, tmp_path: Path) -> None:
    token, key = keys.make("nas", [Scope.CHAT], rpm=1)
    KeyFile(tmp_path / "keys.json").add(key)
    script.play(b"{}")
    http = await start()
    async with sdk(http, token) as client:
        await chat()(client)
    error = await failed(sdk(http, token), chat())
    assert type(error) is openai.RateLimitError
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert int(error.response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_500_a_fault_of_the_worker(http: aiohttp.ClientSession, script: Script, stream: bool) -> None:
    body = json.dumps({"error": {"message": "No.", "type": "server_error", "param": None, "code": None}})
    script.answer = lambda message: script.fail(message, body.encode(), 500)
    error = await failed(sdk(http), chat(stream=stream))
    assert type(error) is openai.InternalServerError
    assert error.status_code == 500


async def test_503_nobody_is_there(http: aiohttp.ClientSession, nats_server: str) -> None:
    error = await failed(sdk(http), chat(model="gone"))
    assert type(error) is openai.InternalServerError
    assert error.status_code == 503
    assert int(error.response.headers["Retry-After"]) > 0


async def test_504_too_late(start: Start, script: Script) -> None:
    async def never(_: Msg) -> None:
        """An answer that does not come."""

    script.answer = never
    http = await start(request_timeout=0.1)
    error = await failed(sdk(http), chat())
    assert type(error) is openai.InternalServerError
    assert (error.status_code, error.type) == (504, "timeout_error")
