"""The translation of `POST /v1/chat/completions`: the same bytes, nothing shortened, nothing left running."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest
from nats.aio.msg import Msg

from bridge.client import chat
from schemas import subjects

if TYPE_CHECKING:
    from conftest import Script, Start

URL = "/v1/chat/completions"
TEXT_URL = "/v1/completions"
REFUSAL = b'{"error":{"message":"no","type":"invalid_request_error","param":"model","code":"x"}}'


def ask(stream: bool = False, **fields: object) -> bytes:
    """The bytes of a request."""
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": stream} | fields).encode()


async def _soon(queue: asyncio.Queue[str]) -> str:
    return await asyncio.wait_for(queue.get(), 5)


async def test_a_plain_answer_and_its_request_pass_through_byte_for_byte(
    http: aiohttp.ClientSession, script: Script
) -> None:
    body = b'{ "weird":  [1,\n2] }'

    async def answer(message: Msg) -> None:
        await script.nc.publish(message.reply, body, headers={subjects.FINISH: "stop"})

    script.answer = answer
    sent = ask(model=script.model)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    async with http.post(URL, data=sent, headers={"X-Request-Id": "mine-1", "traceparent": trace}) as got:
        assert (got.status, got.content_type, await got.read()) == (200, "application/json", body)
        assert got.headers["X-Request-Id"] == "mine-1"
    request = script.requests.get_nowait()
    assert request.subject == "llm.v1.chat.org-tiny-1-0"
    assert request.data == sent
    assert request.headers.pop(subjects.CALLER)
    assert request.headers == {subjects.REQUEST_ID: "mine-1", "traceparent": trace}
    assert script.cancelled.empty()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "body"), [(400, REFUSAL), (429, REFUSAL), (503, REFUSAL)])
async def test_a_refusal_keeps_its_status_and_bytes_also_when_a_stream_was_asked_for(
    http: aiohttp.ClientSession, script: Script, stream: bool, status: int, body: bytes
) -> None:
    script.answer = lambda message: script.fail(message, body, status)
    async with http.post(URL, data=ask(stream)) as got:
        assert (got.status, got.content_type, await got.read()) == (status, "application/json", body)
        assert ("Retry-After" in got.headers) == (status != 400)
    assert script.requests.get_nowait().subject == "llm.v1.chat"
    assert script.cancelled.empty()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (429, "17", "17"),
        (503, "1", "1"),
        (500, "3", "3"),
        (429, "soon", "2"),
        (503, "-1", "5"),
        (400, "", None),
    ],
)
async def test_when_to_come_back_is_the_workers_word(
    http: aiohttp.ClientSession, script: Script, stream: bool, status: int, said: str, expected: str | None
) -> None:
    script.answer = lambda message: script.fail(message, REFUSAL, status, **{subjects.RETRY_AFTER: said})
    async with http.post(URL, data=ask(stream)) as got:
        assert (got.status, await got.read()) == (status, REFUSAL)
        assert got.headers.get("Retry-After") == expected


async def test_an_error_without_a_body_gets_one(http: aiohttp.ClientSession, script: Script) -> None:
    script.answer = lambda message: script.fail(message, b"", 504)
    async with http.post(URL, data=ask()) as got:
        assert got.status == 504
        assert (await got.json())["error"]["message"] == "it failed"


async def test_a_stream_is_wrapped_and_ends_with_done(http: aiohttp.ClientSession, script: Script) -> None:
    script.play(b'{"a":1}', '{"b":"비트"}'.encode(), b'{"c":3}')
    async with http.post(URL, data=ask(stream=True)) as got:
        assert got.status == 200
        assert got.content_type == "text/event-stream"
        assert got.headers["X-Request-Id"]
        # Proxies would collect the chunks.
        assert (got.headers["Cache-Control"], got.headers["X-Accel-Buffering"]) == ("no-cache", "no")
        frames = ['data: {"a":1}', 'data: {"b":"비트"}', 'data: {"c":3}', "data: [DONE]", ""]
        assert (await got.read()).decode() == "\n\n".join(frames)
    assert script.cancelled.empty()


async def test_each_chunk_is_sent_when_it_comes(http: aiohttp.ClientSession, script: Script) -> None:
    go_on = asyncio.Event()

    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await asyncio.wait_for(go_on.wait(), 5)
        await script.end(message)

    script.answer = answer
    async with http.post(URL, data=ask(stream=True)) as got:
        assert await got.content.readuntil(b"\n\n") == b"data: 1\n\n"
        go_on.set()
        assert await got.read() == b"data: [DONE]\n\n"


async def test_a_sign_of_life_is_a_comment(http: aiohttp.ClientSession, script: Script) -> None:
    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await script.chunk(message, 2, b"nothing", **{subjects.KEEP_ALIVE: "true"})
        await script.chunk(message, 3, b"3")
        await script.end(message)

    script.answer = answer
    for url in (URL, TEXT_URL):
        async with http.post(url, data=ask(stream=True)) as got:
            frames = ["data: 1", ": the model is busy", "data: 3", "data: [DONE]", ""]
            assert (await got.read()).decode() == "\n\n".join(frames)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_completion_goes_to_its_own_subject(
    http: aiohttp.ClientSession, script: Script, stream: bool
) -> None:
    script.play(b'{"a":1}')
    for model, subject in ((None, "llm.v1.completions"), (script.model, "llm.v1.completions.org-tiny-1-0")):
        sent = json.dumps({"prompt": "Hi", "model": model, "stream": stream}).encode()
        async with http.post(TEXT_URL, data=sent) as got:
            assert got.status == 200
            assert await got.read() == (b'data: {"a":1}\n\ndata: [DONE]\n\n' if stream else b'{"a":1}')
        request = script.requests.get_nowait()
        assert (request.subject, request.data) == (subject, sent)


async def test_an_error_in_the_middle_is_an_event_and_the_stream_has_no_done(
    http: aiohttp.ClientSession, script: Script
) -> None:
    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await script.fail(message, REFUSAL, 500)

    script.answer = answer
    async with http.post(URL, data=ask(stream=True)) as got:
        assert await got.read() == b"data: 1\n\ndata: " + REFUSAL + b"\n\n"
    assert script.cancelled.empty()


@pytest.mark.parametrize("second", ["3", "1", None, "x"])
async def test_a_gap_is_an_error_and_cancels_the_rest(
    http: aiohttp.ClientSession, script: Script, second: str | None
) -> None:
    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await script.chunk(message, None, b"2", **({subjects.SEQ: second} if second else {}))

    script.answer = answer
    async with http.post(URL, data=ask(stream=True), headers={"X-Request-Id": "gap"}) as got:
        events = (await got.text()).split("\n\n")
    assert events[0] == "data: 1"
    assert json.loads(events[1].removeprefix("data: "))["error"]["code"] == "answer_interrupted"
    assert events[2:] == [""]
    assert await _soon(script.cancelled) == "gap"


async def test_a_gap_right_before_the_end_is_seen_when_the_end_is_numbered(
    http: aiohttp.ClientSession, script: Script
) -> None:
    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, b"1")
        await script.end(message, 3)

    script.answer = answer
    async with http.post(URL, data=ask(stream=True)) as got:
        text = await got.text()
    assert "answer_interrupted" in text
    assert "[DONE]" not in text


async def test_a_reader_that_is_too_slow_gets_an_error_and_never_a_shorter_answer(
    start: Start, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_MAX_PENDING_BYTES", 3000)
    http = await start()
    script.play(*[b"x" * 1000] * 500)
    async with http.post(URL, data=ask(stream=True)) as got:
        text = await got.text()
    assert "answer_interrupted" in text
    assert "[DONE]" not in text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_cancels_its_request(
    http: aiohttp.ClientSession, script: Script, stream: bool
) -> None:
    asked = asyncio.create_task(http.post(URL, data=ask(stream), headers={"X-Request-Id": "bye"}))
    request = await asyncio.wait_for(script.requests.get(), 5)
    asked.cancel()
    assert await _soon(script.cancelled) == "bye"
    assert script.cancellers == {request.headers[subjects.CALLER]}


async def test_a_client_that_hangs_up_in_the_middle_cancels_its_request(
    http: aiohttp.ClientSession, script: Script
) -> None:
    script.play(b"1", end=False)
    got = await http.post(URL, data=ask(stream=True), headers={"X-Request-Id": "bye"})
    assert await got.content.readuntil(b"\n\n") == b"data: 1\n\n"
    got.close()
    assert await _soon(script.cancelled) == "bye"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_silent_worker_is_a_504_and_is_told_to_stop(
    start: Start, script: Script, stream: bool
) -> None:
    http = await start(request_timeout=0.1)
    async with http.post(URL, data=ask(stream), headers={"X-Request-Id": "slow"}) as got:
        assert got.status == 504
        assert (await got.json())["error"]["type"] == "timeout_error"
    assert await _soon(script.cancelled) == "slow"


async def test_a_stream_that_falls_silent_ends_with_an_error_event(start: Start, script: Script) -> None:
    http = await start(idle_timeout=0.1)
    script.play(b"1", end=False)
    async with http.post(URL, data=ask(stream=True), headers={"X-Request-Id": "slow"}) as got:
        first, second, rest = (await got.text()).split("\n\n")
    assert (first, rest) == ("data: 1", "")
    assert json.loads(second.removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    assert await _soon(script.cancelled) == "slow"


@pytest.mark.parametrize("stream", [False, True])
async def test_no_worker_is_a_503_that_says_when_to_come_back(
    http: aiohttp.ClientSession, stream: bool
) -> None:
    async with http.post(URL, data=ask(stream, model="nobody-has-this")) as got:
        assert got.status == 503
        assert got.headers["Retry-After"]
        assert "No worker" in (await got.json())["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_model_is_a_404_when_a_worker_is_there(
    http: aiohttp.ClientSession, script: Script, stream: bool
) -> None:
    await script.present()
    for model in ("gpt-4", "m" * 9000):
        async with http.post(URL, data=ask(stream, model=model)) as got:
            error = (await got.json())["error"]
            assert (got.status, error["param"], error["code"]) == (404, "model", "model_not_found")
            assert model[:200] in error["message"]


async def test_a_known_model_whose_worker_is_silent_is_a_503_and_not_unknown(
    http: aiohttp.ClientSession, script: Script
) -> None:
    await script.present(model="other/model")
    async with http.post(URL, data=ask(model="other/model")) as got:
        assert got.status == 503
