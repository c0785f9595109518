"""A response's request as a chat's, and the response that it begins."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.responses import conversation
from schemas.chat import ChatRequest, JsonObjectFormat, JsonSchema, JsonSchemaFormat, TextFormat
from schemas.errors import BadRequest
from schemas.generation import StreamOptions
from schemas.messages import Message, SystemMessage
from schemas.responses.items import InputItem
from schemas.responses.request import ChosenTool, FunctionTool, ReasoningConfig, ResponseRequest, TextConfig
from schemas.responses.response import Response
from schemas.tools import ChosenFunction, FunctionDefinition, NamedChoice, Tool, ToolChoice


def chat(request: ResponseRequest, items: Sequence[InputItem]) -> ChatRequest:
    """`items` are the whole conversation. Raises BadRequest."""
    messages: list[Message] = [SystemMessage(request.instructions)] if request.instructions else []
    messages += conversation.messages(items)
    if not messages:
        raise BadRequest("`input` has nothing to answer.", param="input", code="invalid_value")
    tools = request.tools or []
    return ChatRequest(
        messages=messages,
        model=request.model,
        temperature=request.temperature,
        top_p=request.top_p,
        max_completion_tokens=request.max_output_tokens,
        response_format=_format(request.text),
        tools=[_tool(tool) for tool in tools] or None,
        # OpenAI takes both without tools, where they mean nothing; a call that cannot be made is still refused.
        tool_choice=_choice(request) if tools or request.tool_choice != "auto" else None,
        parallel_tool_calls=request.parallel_tool_calls if tools else None,
        reasoning_effort=request.reasoning.effort if request.reasoning else None,
        logprobs=True if request.logprobs else None,
        top_logprobs=request.top_logprobs if request.logprobs else None,
        stream=True if request.stream else None,
        stream_options=StreamOptions(include_usage=True) if request.stream else None,
    )


def begun(request: ResponseRequest, response_id: str, now: int) -> Response:
    """With nothing in it yet; its model is known with the answer."""
    return Response(
        id=response_id,
        created_at=now,
        model=request.model or "",
        instructions=request.instructions,
        previous_response_id=request.previous_response_id,
        store=request.kept,
        metadata=request.metadata or {},
        temperature=request.temperature,
        top_p=request.top_p,
        max_output_tokens=request.max_output_tokens,
        text=TextConfig((request.text and request.text.format) or TextFormat()),
        tools=request.tools or [],
        tool_choice=request.tool_choice or "auto",
        parallel_tool_calls=request.parallel_tool_calls is not False,
        reasoning=request.reasoning or ReasoningConfig(),
        top_logprobs=request.top_logprobs or 0,
        user=request.user,
    )


def _format(text: TextConfig | None) -> TextFormat | JsonObjectFormat | JsonSchemaFormat | None:
    found = text.format if text is not None else None
    if isinstance(found, JsonSchema):
        return JsonSchemaFormat(JsonSchema(found.name, found.schema, found.description, found.strict))
    return found


def _tool(tool: FunctionTool) -> Tool:
    return Tool(FunctionDefinition(tool.name, tool.description, tool.parameters, tool.strict))


def _choice(request: ResponseRequest) -> ToolChoice | None:
    if isinstance(request.tool_choice, ChosenTool):
        return NamedChoice(ChosenFunction(request.tool_choice.name))
    return request.tool_choice
