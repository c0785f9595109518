"""`litellm`: a model named `openai/<name>` and an `api_base`."""

import os
from typing import Any

from kit import ANSWER, QUESTION, URL, WEATHER, Capital, check, tell

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its list of prices, else fetched when it is imported
import litellm

WHERE = {"model": "openai/starter", "api_base": URL, "api_key": "none", "temperature": 0}
TOOL = {"name": "get_weather", "parameters": Capital.model_json_schema()}


def asked(**given: Any) -> dict[str, Any]:
    return WHERE | {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 60} | given


def refused(kind: type[Exception], **given: Any) -> None:
    try:
        litellm.completion(**asked(**given))
    except kind:
        return
    raise AssertionError("it was not refused")


@check
def an_answer() -> None:
    assert litellm.completion(**asked()).choices[0].message.content == ANSWER


@check
def a_stream() -> None:
    found = list(litellm.completion(**asked(stream=True, stream_options={"include_usage": True})))
    assert "".join(choice.delta.content or "" for chunk in found for choice in chunk.choices) == ANSWER
    assert found[-1].usage.completion_tokens == litellm.completion(**asked()).usage.completion_tokens


@check
async def an_answer_as_a_coroutine() -> None:
    assert (await litellm.acompletion(**asked())).choices[0].message.content == ANSWER
    chunks = await litellm.acompletion(**asked(stream=True))
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks]) == ANSWER


@check
def an_object() -> None:
    found = litellm.completion(**asked(response_format=Capital))
    Capital.model_validate_json(found.choices[0].message.content)


@check
def a_call() -> None:
    found = litellm.completion(
        **asked(
            messages=[{"role": "user", "content": WEATHER}],
            tools=[{"type": "function", "function": TOOL}],
            tool_choice={"type": "function", "function": {"name": "get_weather"}},
        )
    )
    (call,) = found.choices[0].message.tool_calls
    Capital.model_validate_json(call.function.arguments)


@check
def by_responses() -> None:
    assert litellm.responses(**WHERE, input=QUESTION, max_output_tokens=20).output_text == ANSWER


@check
def errors_have_their_class() -> None:
    refused(litellm.NotFoundError, model="openai/nobody")
    # Told apart by OpenAI's words, and what its fallbacks to a larger model wait for.
    refused(litellm.ContextWindowExceededError, max_tokens=1_000_000)


tell()
