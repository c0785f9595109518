"""`/v1/responses` with OpenAI's SDK, sync and async: the real bridge and NATS, and a worker that plays events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
import openai
import pytest
from nats.aio.msg import Msg
from openai.types.responses import ResponseInputMessageItem
from pydantic import BaseModel

from schemas import streams
from schemas.codec import encode
from schemas.completion import ChatChunk, TokenLogprob, TopLogprob
from tests.broker.bridge.responding import Model
from worker.jobs import Arguments, Call, Ended, Text, Thought
from worker.transport import assembly

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


async def test_what_it_was_made_of_can_be_listed(sdk: openai.AsyncOpenAI, model: Model) -> None:
    tools: Any = [TOOL]
    model.says(Thought("hm"), *CALLED)
    first = await sdk.responses.create(input="Weather?", tools=tools)
    model.says(*PARIS)
    output: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "4"}]
    second = await sdk.responses.create(input=output, previous_response_id=first.id, tools=tools)
    found = [item async for item in sdk.responses.input_items.list(second.id, order="asc", limit=2)]
    assert [item.type for item in found] == ["message", "reasoning", "function_call", "function_call_output"]
    asked = found[0]
    assert isinstance(asked, ResponseInputMessageItem) and asked.status == "completed"
    assert [part.to_dict() for part in asked.content] == [{"type": "input_text", "text": "Weather?"}]
    assert len({item.id for item in found}) == 4 and all(item.id for item in found)
    page = await sdk.responses.input_items.list(second.id, limit=1)
    assert ([item.id for item in page.data], page.has_more) == ([found[-1].id], True)
    [item] = (await sdk.responses.input_items.list(first.id)).data
    assert item.type == "message" and item.id != asked.id
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.input_items.list(f"resp_{'0' * 32}")
    twice: Any = [{"role": "user", "content": word, "id": "msg_1"} for word in "abc"]
    third = await sdk.responses.create(input=twice)
    assert len([item async for item in sdk.responses.input_items.list(third.id, limit=1)]) == 3
    with pytest.raises(openai.BadRequestError):
        await sdk.responses.input_items.list(first.id, after="item-x")


async def test_what_is_not_to_be_kept_is_not(sdk: openai.AsyncOpenAI, model: Model, script: Script) -> None:
    model.says(*PARIS)
    bucket = await script.nc.jetstream().key_value(streams.RESPONSES.bucket)
    before = (await bucket.status()).values
    found = await sdk.responses.create(input="Where?", store=False)
    assert found.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(found.id)
    assert (await bucket.status()).values == before


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
