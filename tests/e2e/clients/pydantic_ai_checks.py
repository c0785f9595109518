"""`pydantic-ai`: agents over chat and over responses, with functions, and with text or a type for output."""

from typing import Any

from kit import ANSWER, QUESTION, URL, WEATHER, Capital, check, get_weather, tell
from pydantic_ai import Agent, NativeOutput, RunContext, Tool
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition


def agents(**given: Any) -> list[Agent]:
    provider = OpenAIProvider(base_url=URL, api_key="none")
    settings = {"temperature": 0, "max_tokens": 60, "parallel_tool_calls": False}
    return [
        Agent(model("starter", provider=provider), model_settings=settings, retries=0, **given)
        for model in (OpenAIChatModel, OpenAIResponsesModel)
    ]


async def once(context: RunContext[None], tool: ToolDefinition) -> ToolDefinition | None:
    """Where a call is wanted in each answer, as it is here, the starter model would call it again and again."""
    return tool if len(context.messages) == 1 else None


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


@check
async def a_type_by_a_tool_beside_a_function() -> None:
    for agent in agents(output_type=Capital, tools=[Tool(get_weather, prepare=once)]):
        found = await agent.run(WEATHER)
        assert isinstance(found.output, Capital)
        called = [
            part.tool_name
            for message in found.all_messages()
            for part in message.parts
            if part.part_kind == "tool-call"
        ]
        assert called == ["get_weather", "final_result"]


tell()
