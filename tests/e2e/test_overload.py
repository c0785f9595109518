"""More than the worker takes on: who comes too late is told when to try again, and the others are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import House, opened
from tests.until import seen

QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two rows for chat, two chats that may wait, and answers that are kept."""
    settings = {"SLOTS": "1", "CHAT_SLOTS": "1", "MAX_WAITING": "2", "CACHE_CHATS": "true"}
    with opened(
        tmp_path_factory.mktemp("small"),
        **{f"NATS_MLX_WORKER_{name}": value for name, value in settings.items()},
    ) as house:
        yield house


async def test_who_comes_too_late_is_told_when_to_try_again(small: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{small.bridge_url}/v1", api_key="none", max_retries=0) as sdk:

        async def endless(number: int) -> openai.AsyncStream[Any]:
            """Without its end tokens. The seed changes nothing, but equal requests would share a row."""
            stream = await sdk.chat.completions.create(
                model="starter",
                messages=QUESTION,
                temperature=0,
                seed=number,
                max_tokens=4000,
                logit_bias={"0": -100, "2": -100},
                stream=True,
            )
            await anext(stream)  # also one that waits is told that it is counted
            return stream

        async def ask(number: int) -> str | int:
            try:
                answer = await sdk.chat.completions.create(
                    model="starter", messages=QUESTION, temperature=0, seed=number
                )
            except openai.RateLimitError as error:
                assert error.code == "overloaded"
                return int(error.response.headers["retry-after"])
            return answer.choices[0].message.content or ""

        taken = [await endless(number) for number in range(4)]
        refused = await asyncio.gather(*map(ask, range(8)))
        assert all(isinstance(seconds, int) and 1 <= seconds <= 60 for seconds in refused)
        for stream in taken:
            await stream.close()
        # A moment after they have hung up there is room again.
        answer = await seen(lambda: ask(8), lambda found: isinstance(found, str), within=60)
        assert answer == "The capital of France is Paris."


async def test_the_sdk_tries_again_by_itself(small: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{small.bridge_url}/v1", api_key="none", max_retries=8) as sdk:
        answers = await asyncio.gather(
            *(
                sdk.chat.completions.create(model="starter", messages=QUESTION, temperature=0, max_tokens=2)
                for _ in range(8)
            )
        )
    assert {answer.choices[0].message.content for answer in answers} == {"The capital"}


async def test_what_was_answered_is_not_computed_again_where_that_is_wished_for(small: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{small.bridge_url}/v1", api_key="none", max_retries=8) as sdk:
        found = []
        while (
            not found or found[-1].usage.prompt_tokens_details.cached_tokens < found[-1].usage.prompt_tokens
        ):
            assert len(found) < 10, "it is kept a moment after its end"
            found.append(
                await sdk.chat.completions.create(model="starter", messages=QUESTION, temperature=0, seed=99)
            )
    first, *_, again = found
    assert again.choices == first.choices
    assert again.usage.completion_tokens == first.usage.completion_tokens
