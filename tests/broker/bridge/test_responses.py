"""`/v1/responses` with OpenAI's SDK, sync and async: the real bridge and NATS, and a worker that plays events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
import openai
import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from pydantic import BaseModel

from bridge.client import responses as shelf
from schemas import streams
from schemas.codec import encode
from schemas.completion import ChatChunk, TokenLogprob, TopLogprob
from schemas.errors import BadRequest
from tests.broker.bridge.responding import Model
from worker.jobs import Arguments, Call, Ended, Text, Thought
from worker.transport import assembly, topology

if TYPE_CHECKING:
    from conftest import Script

PARIS = (Text("Pa"), Text("ris"), Ended("stop"))
TOOL = {
    "type": "function",
    "name": "weather",
    "description": "Tells it.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
CALLED = (Call("call_1", "weather"), Arguments('{"city":'), Arguments('"Rome"}'), Ended("tool_calls"))


class City(BaseModel):
    name: Literal["Paris", "Rome"]


@pytest_asyncio.fixture
async def model(script: Script) -> Model:
    """With the bucket that a worker makes."""
    await topology.ensure(script.nc.jetstream())
    return Model(script)


@pytest_asyncio.fixture
async def base_url(http: aiohttp.ClientSession) -> str:
    async with http.get("/healthz") as got:
        return str(got.url.with_path("/v1"))


@pytest_asyncio.fixture
async def sdk(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def blocking(base_url: str) -> Iterator[openai.OpenAI]:
    """To be used in a thread: the bridge runs in ours."""
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        yield client


async def test_a_plain_answer(sdk: openai.AsyncOpenAI, model: Model) -> None:
    model.says(*PARIS)
    found = await sdk.responses.create(
        model="Org/Tiny-1.0", input="Where?", instructions="Be brief.", temperature=0, max_output_tokens=9,
        metadata={"a": "b"},
    )  # fmt: skip
    assert (found.output_text, found.status, found.object) == ("Paris", "completed", "response")
    assert (found.model, found.instructions, found.metadata) == ("m", "Be brief.", {"a": "b"})
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens) == (3, 2, 5)
    assert (found.error, found.incomplete_details) == (None, None)
    (asked,) = model.asked
    assert [one["content"] for one in asked["messages"]] == ["Be brief.", "Where?"]
    assert (asked["temperature"], asked["max_completion_tokens"]) == (0, 9)


async def test_the_blocking_sdk_streams(blocking: openai.OpenAI, model: Model) -> None:
    model.says(Thought("hm"), *PARIS)

    def listen() -> list[str]:
        with blocking.responses.create(input="Where?", stream=True, store=False) as events:
            return [event.type for event in events]

    found = await asyncio.to_thread(listen)
    assert found[:2] == ["response.created", "response.in_progress"]
    assert found.count("response.output_text.delta") == 2
    assert found[-1] == "response.completed"


async def test_the_stream_helper_has_the_same_answer(sdk: openai.AsyncOpenAI, model: Model) -> None:
    model.says(Thought("hm"), *PARIS)
    async with sdk.responses.stream(model="Org/Tiny-1.0", input="Where?") as events:
        snapshots = [event.snapshot async for event in events if event.type == "response.output_text.delta"]
        final = await events.get_final_response()
    assert snapshots == ["Pa", "Paris"]
    assert final.output_text == "Paris"
    assert [item.type for item in final.output] == ["reasoning", "message"]
    kept = await sdk.responses.retrieve(final.id)
    assert kept.to_dict()["usage"] == final.to_dict()["usage"]
    assert kept.output_text == "Paris"


async def test_the_wire_of_a_stream(http: aiohttp.ClientSession, model: Model) -> None:
    """Names before data, a comment while the model is busy, and no `[DONE]`, as OpenAI has it."""
    model.says(*PARIS)
    async with http.post("/v1/responses", json={"input": "hi", "stream": True}) as got:
        assert got.content_type == "text/event-stream"
        frames = (await got.text()).split("\n\n")
    assert frames.pop() == ""
    named = [frame.split("\n") for frame in frames if not frame.startswith(":")]
    for name, data in named:
        assert json.loads(data.removeprefix("data: "))["type"] == name.removeprefix("event: ")
    numbers = [json.loads(data.removeprefix("data: "))["sequence_number"] for _, data in named]
    assert numbers == list(range(len(named)))


async def test_a_busy_model_is_told_of(http: aiohttp.ClientSession, model: Model, script: Script) -> None:
    """Before its first word, a comment each time that the worker says it lives."""
    begun = asyncio.Event()

    async def answer(message: Msg) -> None:
        await script.chunk(message, 1, encode(ChatChunk("c", 1, "m", [assembly.opening(0)])))
        await begun.wait()
        await script.chunk(message, 2, encode(ChatChunk("c", 1, "m", [assembly.nothing(0)])))

    script.answer = answer
    async with http.post("/v1/responses", json={"input": "hi", "stream": True}) as got, asyncio.timeout(5):
        assert await got.content.readline() == b"event: response.created\n"
        begun.set()
        assert await got.content.readuntil(b"\n: the model is busy\n\n")


async def test_parse_gives_an_object(sdk: openai.AsyncOpenAI, model: Model) -> None:
    model.says(Text('{"name":"Rome"}'), Ended("stop"))
    found = await sdk.responses.parse(model="Org/Tiny-1.0", input="Where?", text_format=City)
    assert found.output_parsed == City(name="Rome")
    assert model.asked[0]["response_format"]["json_schema"]["name"] == "City"


async def test_a_call_and_its_answer(sdk: openai.AsyncOpenAI, model: Model) -> None:
    """By the whole list of items, as OpenAI's guide does it."""
    model.says(*CALLED)
    tools: Any = [TOOL]
    items: Any = [{"role": "user", "content": "Weather?"}]
    first = await sdk.responses.create(input=items, tools=tools, tool_choice="required")
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.call_id, call.name, json.loads(call.arguments)) == ("call_1", "weather", {"city": "Rome"})
    model.says(*PARIS)
    items += first.output
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees"})
    second = await sdk.responses.create(input=items, tools=tools)
    assert second.output_text == "Paris"
    roles = [one["role"] for one in model.asked[1]["messages"]]
    assert roles == ["user", "assistant", "tool"]


async def test_the_same_by_the_previous_responses_id(sdk: openai.AsyncOpenAI, model: Model) -> None:
    tools: Any = [TOOL]
    model.says(Thought("hm"), *CALLED)
    first = await sdk.responses.create(input="Weather?", tools=tools, instructions="Not carried over.")
    model.says(*PARIS)
    output: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "4"}]
    second = await sdk.responses.create(input=output, previous_response_id=first.id, tools=tools)
    third = await sdk.responses.create(input="Sure?", previous_response_id=second.id)
    assert third.previous_response_id == second.id
    messages = model.asked[2]["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[1]["reasoning_content"] == "hm"
    assert [one["content"] for one in messages[2:]] == ["4", "Paris", "Sure?"]
    # The conversation is whole in each: an earlier one may go.
    await sdk.responses.delete(second.id)
    await sdk.responses.create(input="Really?", previous_response_id=third.id)
    assert len(model.asked[3]["messages"]) == 7


async def test_what_is_kept_can_be_had_and_deleted(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, model: Model
) -> None:
    model.says(*PARIS)
    found = await sdk.responses.create(input="Where?")
    assert (await sdk.responses.retrieve(found.id)).to_dict() == found.to_dict()
    async with http.delete(f"/v1/responses/{found.id}") as got:
        assert await got.json() == {"id": found.id, "object": "response", "deleted": True}
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.responses.retrieve(found.id)
    assert caught.value.code == "response_not_found"
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.delete(found.id)


async def test_what_is_not_to_be_kept_is_not(sdk: openai.AsyncOpenAI, model: Model, script: Script) -> None:
    model.says(*PARIS)
    bucket = await script.nc.jetstream().key_value(streams.RESPONSES.bucket)
    before = (await bucket.status()).values
    found = await sdk.responses.create(input="Where?", store=False)
    assert found.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(found.id)
    assert (await bucket.status()).values == before


@pytest.mark.parametrize("name", ["resp_" + "0" * 32, "resp_1", "*", "resp_.>", "a.b"])
async def test_a_response_that_never_was(http: aiohttp.ClientSession, model: Model, name: str) -> None:
    async with http.get(f"/v1/responses/{name}") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "response_not_found")
    async with http.post("/v1/responses", json={"input": "hi", "previous_response_id": name}) as got:
        error = (await got.json())["error"]
        assert (got.status, error["param"]) == (400, "previous_response_id")
        assert error["code"] == "previous_response_not_found"


async def test_logprobs(sdk: openai.AsyncOpenAI, model: Model) -> None:
    paris = TokenLogprob("Paris", -0.5, [80], [TopLogprob("Paris", -0.5, [80])])
    model.says(Text("Paris", logprobs=(paris,)), Ended("stop"))
    include: Any = ["message.output_text.logprobs"]
    found = await sdk.responses.create(input="Where?", include=include, top_logprobs=1, store=False)
    (message,) = found.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs is not None
    assert (part.logprobs[0].token, part.logprobs[0].top_logprobs[0].logprob) == ("Paris", -0.5)
    assert (model.asked[0]["logprobs"], model.asked[0]["top_logprobs"]) == (True, 1)


async def test_an_answer_that_was_cut(sdk: openai.AsyncOpenAI, model: Model) -> None:
    model.says(Text("Par"), Ended("length"))
    found = await sdk.responses.create(input="Where?", store=False)
    assert found.status == "incomplete"
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"
    stream = await sdk.responses.create(input="Where?", store=False, stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"


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
    monkeypatch.setattr(shelf, "_BUCKET", "llm_workers")  # where the bridge may not write
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
