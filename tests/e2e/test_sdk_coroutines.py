"""The official SDK's other half: everything as coroutines, and its helpers for streams and objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import House
from tests.e2e.sdk import ANSWER, PARIS
from tests.e2e.test_responses import QUESTION, Capital

ASKED: dict[str, Any] = {"model": "starter", "temperature": 0}
CHAT = ASKED | {"messages": PARIS, "max_tokens": 20}
RESPONSE = ASKED | {"input": QUESTION, "max_output_tokens": 20}


@pytest.fixture(scope="module")
async def sdk(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_chat(sdk: openai.AsyncOpenAI) -> None:
    assert (await sdk.chat.completions.create(**CHAT)).choices[0].message.content == ANSWER
    chunks = [chunk async for chunk in await sdk.chat.completions.create(**CHAT, stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert [model.id async for model in sdk.models.list()] == [chunks[0].model]


async def test_chat_by_the_stream_helper(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.chat.completions.stream(**CHAT, response_format=Capital) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Capital)


async def test_chat_as_an_object(sdk: openai.AsyncOpenAI) -> None:
    found = await sdk.chat.completions.parse(**CHAT, response_format=Capital)
    assert isinstance(found.choices[0].message.parsed, Capital)


async def test_responses(sdk: openai.AsyncOpenAI) -> None:
    found = await sdk.responses.create(**RESPONSE)
    assert (await sdk.responses.retrieve(found.id)).output_text == found.output_text == ANSWER
    parsed = await sdk.responses.parse(**RESPONSE, text_format=Capital)
    assert isinstance(parsed.output_parsed, Capital)
    async with sdk.responses.stream(**RESPONSE, text_format=Capital) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert isinstance(final.output_parsed, Capital)
