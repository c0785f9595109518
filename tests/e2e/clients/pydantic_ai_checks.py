"""`pydantic-ai`: agents over chat and over responses, with text or a type for output."""

from typing import Any

from kit import ANSWER, QUESTION, URL, Capital, check, tell
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


def agents(**given: Any) -> list[Agent]:
    provider = OpenAIProvider(base_url=URL, api_key="none")
    settings = {"temperature": 0, "max_tokens": 60, "parallel_tool_calls": False}
    return [
        Agent(model("starter", provider=provider), model_settings=settings, retries=0, **given)
        for model in (OpenAIChatModel, OpenAIResponsesModel)
    ]


@check
async def a_conversation() -> None:
    for agent in agents():
        first = await agent.run(QUESTION)
        assert first.output == ANSWER
        assert (await agent.run("And of Italy?", message_history=first.all_messages())).output


@check
async def a_stream() -> None:
    for agent in agents():
        async with agent.run_stream(QUESTION) as streamed:
            pieces = [piece async for piece in streamed.stream_text(delta=True, debounce_by=None)]
        assert "".join(pieces) == ANSWER
        assert len(pieces) > 1


@check
async def a_type_by_a_schema() -> None:
    for agent in agents(output_type=NativeOutput(Capital)):
        assert isinstance((await agent.run(QUESTION)).output, Capital)


@check
async def a_type_by_a_tool() -> None:
    for agent in agents(output_type=Capital):
        assert isinstance((await agent.run(QUESTION)).output, Capital)


tell()
