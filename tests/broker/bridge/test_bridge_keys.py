"""API keys over HTTP: who comes in, what they may do, how much of it, and that nothing tells on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest
from nats.aio.msg import Msg
from raw_http import Raw

from bridge import keys
from bridge.doctor import ports
from bridge.doctor.finding import Grade
from bridge.keys import KeyFile, Scope
from bridge.settings import Settings
from schemas import subjects

if TYPE_CHECKING:
    from conftest import Script, Start

URL = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "hi"}]}
Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
def bearer(file: KeyFile) -> Bearer:
    """Makes a key; the header that shows it."""

    def make(name: str = "nas", scopes: tuple[Scope, ...] = (Scope.CHAT,), **limits: int) -> dict[str, str]:
        token, key = keys.make(name, list(scopes), **limits)
        file.add(key)
        return {"Authorization": f"Bearer {token}"}

    return make


def answers(script: Script, tokens: str | None = "40") -> None:
    more = {subjects.TOKENS: tokens} if tokens is not None else {}

    async def answer(message: Msg) -> None:
        await script.nc.publish(message.reply, b"{}", headers={subjects.FINISH: "stop"} | more)

    script.answer = answer


async def error(got: aiohttp.ClientResponse) -> dict[str, Any]:
    found: dict[str, Any] = (await got.json())["error"]
    return found


async def test_on_loopback_a_first_key_closes_the_door_and_revoking_the_last_does_not_open_it(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer, file: KeyFile
) -> None:
    answers(script)
    async with http.post(URL, json=BODY) as got:
        assert got.status == 200
    header = bearer()
    async with http.post(URL, json=BODY) as got:
        assert got.status == 401
    async with http.post(URL, json=BODY, headers=header) as got:
        assert got.status == 200
    file.remove("nas")
    for headers in ({}, header):
        async with http.post(URL, json=BODY, headers=headers) as got:
            assert (got.status, (await error(got))["code"]) == (401, "invalid_api_key")
            port = got.url.port
    told = await ports.bridge(Settings.load(port=port, data_dir=file.file.parent))
    assert (told.grade, "its last key was removed" in told.says) == (Grade.WARNING, True)
    bearer()
    assert (await ports.bridge(Settings.load(port=port, data_dir=file.file.parent))).grade is Grade.OK


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/models/x", URL, "/nope"])
async def test_without_a_key_nothing_is_told_but_the_probes(start: Start, script: Script, path: str) -> None:
    http = await start(host="0.0.0.0")
    for method in ("GET", "POST", "DELETE", "HEAD"):
        async with http.request(method, path, json=BODY) as got:
            assert (got.status, got.headers["X-Request-Id"] != "") == (401, True)
            assert got.headers["WWW-Authenticate"].startswith("Bearer")
    await script.present()
    for probe in ("/healthz", "/readyz"):
        async with http.get(probe) as got:
            assert got.status == 200
    assert script.requests.empty()


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic %s", "Token %s", "%s", "Bearer %s x", "Bearer %sx"],
)
async def test_what_is_not_the_key_does_not_open(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer, shown: str
) -> None:
    token = bearer()["Authorization"].removeprefix("Bearer ")
    async with http.post(URL, json=BODY, headers={"Authorization": shown.replace("%s", token)}) as got:
        assert (got.status, (await error(got))["code"]) == (401, "invalid_api_key")
        assert token not in await got.text()


async def test_the_scheme_is_not_case_sensitive_and_one_header_is_enough(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    token = bearer()["Authorization"].removeprefix("Bearer ")
    async with http.get("/v1/models", headers={"Authorization": f"bEARER  {token}"}) as got:
        assert got.status == 200
    raw = await Raw.connect(http)
    line = f"Authorization: Bearer {token}\r\n"
    await raw.send(f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{line}{line}\r\n".encode())
    assert (await raw.answer()).status in (400, 401)
    await raw.close()


async def test_a_key_without_the_scope_is_a_403(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(scopes=(Scope.BATCH, Scope.ADMIN))
    async with http.post(URL, json=BODY, headers=header) as got:
        assert (got.status, (await error(got))["code"]) == (403, "missing_scope")
    async with http.get("/v1/models", headers=header) as got:
        assert got.status == 200
    assert script.requests.empty()


async def test_a_broken_file_is_a_503_and_lets_nobody_in(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer, file: KeyFile
) -> None:
    header = bearer()
    file.file.write_text("{")
    for headers in ({}, header):
        async with http.get("/v1/models", headers=headers) as got:
            assert got.status == 503


async def test_requests_and_tokens_are_counted_down(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(rpm=3, tpm=60)
    answers(script, tokens="40")
    async with http.post(URL, json=BODY, headers=header) as got:
        assert (got.status, got.headers["x-ratelimit-limit-requests"]) == (200, "3")
        assert got.headers["x-ratelimit-remaining-requests"] == "2"
        assert (got.headers["x-ratelimit-limit-tokens"], got.headers["x-ratelimit-remaining-tokens"]) == (
            "60",
            "20",
        )
        assert got.headers["x-ratelimit-reset-tokens"].endswith("s")
    async with http.post(URL, json=BODY, headers=header) as got:
        assert got.status == 200
    async with http.post(URL, json=BODY, headers=header) as got:
        assert (got.status, (await error(got))["code"]) == (429, "rate_limit_exceeded")
        assert "60 tokens per minute" in (await error(got))["message"]
        assert 15 <= int(got.headers["Retry-After"]) <= 22
        assert got.headers["x-ratelimit-remaining-tokens"] == "0"
    other = bearer(name="other", rpm=1)
    for status in (200, 429):
        async with http.post(URL, json=BODY, headers=other) as got:
            assert got.status == status
            assert "x-ratelimit-limit-tokens" not in got.headers
    async with http.get("/v1/models", headers=other) as got:
        assert (got.status, "x-ratelimit-limit-requests" in got.headers) == (200, False)


async def test_a_stream_pays_what_the_worker_counted(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(tpm=60)

    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await script.chunk(message, None, b"", **{subjects.FINISH: "stop", subjects.TOKENS: "42"})

    script.answer = answer
    async with http.post(URL, json=BODY | {"stream": True}, headers=header) as got:
        assert got.headers["x-ratelimit-limit-tokens"] == "60"
        await got.read()
    assert 60 - 42 <= await left(http, script, header) < 60 - 32, "one comes back each second"


async def test_hanging_up_is_no_way_to_pay_less(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(tpm=1000)
    script.play(*[b"1"] * 200, end=False)
    body = {"messages": [{"role": "user", "content": "x" * 400}], "stream": True}
    got = await http.post(URL, json=body, headers=header)
    for _ in range(200):
        await got.content.readuntil(b"\n\n")
    got.close()
    await asyncio.wait_for(script.cancelled.get(), 5)
    assert 600 <= await left(http, script, header) <= 700


async def test_a_refusal_of_the_worker_costs_no_tokens(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(tpm=1000)
    for stream in (False, True):
        script.answer = lambda message: script.fail(message, b'{"error":{}}', 400)
        async with http.post(URL, json=BODY | {"stream": stream}, headers=header) as got:
            assert got.status == 400
    assert await left(http, script, header) == 1000


async def test_nobody_there_costs_no_tokens(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(tpm=1000)
    async with http.post(URL, json=BODY | {"model": "none", "pad": "x" * 400}, headers=header) as got:
        assert (got.status, got.headers["x-ratelimit-remaining-tokens"]) == (503, "1000")


async def left(http: aiohttp.ClientSession, script: Script, header: dict[str, str]) -> int:
    """By one more request, which costs nothing."""
    answers(script, tokens="0")
    async with http.post(URL, json=BODY, headers=header) as got:
        return int(got.headers["x-ratelimit-remaining-tokens"])


async def test_so_many_requests_at_a_time_a_stream_to_its_end(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    header = bearer(concurrent=1)
    script.play(b"1", end=False)
    got = await http.post(URL, json=BODY | {"stream": True}, headers=header)
    await got.content.readuntil(b"\n\n")
    async with http.post(URL, json=BODY, headers=header) as second:
        assert (second.status, second.headers["Retry-After"]) == (429, "1")
    got.close()
    await asyncio.wait_for(script.cancelled.get(), 5)
    answers(script)
    async with http.post(URL, json=BODY, headers=header) as second:
        assert second.status == 200


async def test_the_official_sdk_knows_what_happened(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer
) -> None:
    answers(script)
    chat, batch = bearer(rpm=1), bearer(name="batch", scopes=(Scope.BATCH,))
    async with http.get("/healthz") as got:
        base = str(got.url.with_path("/v1"))

    async def ask(key: str) -> None:
        async with openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=0) as client:
            await client.chat.completions.create(
                model=script.model, messages=[{"role": "user", "content": "hi"}]
            )

    key = chat["Authorization"].removeprefix("Bearer ")
    await ask(key)
    with pytest.raises(openai.RateLimitError):
        await ask(key)
    with pytest.raises(openai.AuthenticationError) as caught:
        await ask("sk-wrong")
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        await ask(batch["Authorization"].removeprefix("Bearer "))


async def test_logs_name_the_key_and_never_show_it_nor_what_was_said(
    http: aiohttp.ClientSession, script: Script, bearer: Bearer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    header = bearer(name="my-nas")
    token = header["Authorization"].removeprefix("Bearer ")
    answers(script)
    body = {"messages": [{"role": "user", "content": "the-secret-article"}]}
    async with http.post(URL, json=body, headers=header) as got:
        assert got.status == 200
    async with http.post(f"{URL}?key={token}", data=json.dumps(body) + "}", headers=header) as got:
        assert got.status == 400
    raw = await Raw.connect(http)
    await raw.send(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {token}\r\n\r\n".encode())
    await raw.answer()
    await raw.close()
    assert "my-nas" in caplog.text
    assert token not in caplog.text
    assert "the-secret-article" not in caplog.text
    assert "bridge-secret" not in caplog.text
