"""What the tests with the official SDK share: a request that is answered the same each time, and ways to ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e.conftest import House

PARIS = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
# Alone, the starter model goes on with this until its limit.
REPEAT = [{"role": "user", "content": "Repeat the word no ten times."}]
NO = [{"role": "user", "content": "Say no no no no no no"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
PARIS_TOKEN = "7042"  # " Paris" in the starter model's vocabulary of 49152
NAME = "smollm2-135m-instruct"
HOT = {"temperature": 1.5, "seed": 7}


def client(house: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0)


def fields(**given: Any) -> dict[str, Any]:
    """A request that is answered the same each time, unless it says otherwise."""
    return {"model": "starter", "messages": PARIS, "temperature": 0, "max_tokens": 12} | given


def ask(sdk: openai.OpenAI, **given: Any) -> ChatCompletion:
    found = sdk.chat.completions.create(**fields(**given))
    assert isinstance(found, ChatCompletion)
    return found


def chunks(sdk: openai.OpenAI, **given: Any) -> list[ChatCompletionChunk]:
    return list(sdk.chat.completions.create(**fields(**given), stream=True))


def said(completion: ChatCompletion) -> str:
    content = completion.choices[0].message.content
    assert content is not None
    return content


def joined(found: Iterable[ChatCompletionChunk]) -> dict[int, str]:
    """The text of each choice."""
    texts: dict[int, str] = defaultdict(str)
    for chunk in found:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    return dict(texts)


def refused(sdk: openai.OpenAI, **given: Any) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, **given)
    assert caught.value.status_code == 400
    return caught.value


def usage(completion: ChatCompletion) -> tuple[int, int]:
    assert completion.usage is not None
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )
    return completion.usage.prompt_tokens, completion.usage.completion_tokens
