"""OpenAI's chat request, as far as it is honoured here.

Source: OpenAI's API reference, `POST /v1/chat/completions`; `chat_template_kwargs` is an extension that other local
servers share.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from schemas import messages as conversation
from schemas.codec import decode
from schemas.errors import BadRequest
from schemas.generation import Count, Generation, needs
from schemas.messages import Message
from schemas.tools import FunctionName, NamedChoice, Tool, ToolChoice

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class JsonSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `json_schema` of a response format. The answer always validates, so `strict` changes nothing."""

    name: FunctionName
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text", tag_field="type"):
    pass


class JsonObjectFormat(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json_object", tag_field="type"
):
    pass


class JsonSchemaFormat(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json_schema", tag_field="type"
):
    json_schema: JsonSchema


class ChatRequest(Generation, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a chat completion. Every field but the last group has its effect."""

    asks_in: ClassVar[str] = "messages"

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: ReasoningEffort | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    # Accepted only at the value that means "do not".
    modalities: list[Literal["text"]] | None = None
    # They cannot change an answer: accepted without effect, and the README says so.
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None

    @property
    def limit(self) -> int | None:
        """The newer name wins, as OpenAI's does."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def limit_name(self) -> str:
        return "max_completion_tokens" if self.max_completion_tokens else "max_tokens"

    @property
    def alternatives(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def grammar_of(self) -> str:
        return "tools" if self.response_format is None else "response_format"

    def check(self) -> None:
        super().check()
        if self.top_logprobs is not None and not self.logprobs:
            raise needs("top_logprobs", "logprobs: true")
        _check_tools(self)
        conversation.check(self.messages)


_UNSUPPORTED = "audio function_call functions moderation prediction verbosity web_search_options".split()
REFUSED = {name: f"`{name}` is not supported by this server; leave it out." for name in _UNSUPPORTED}


def decode_request(payload: bytes) -> ChatRequest:
    """Decode and check a request. Raises BadRequest naming the field in `param`."""
    request = decode(ChatRequest, payload, REFUSED)
    request.check()
    return request


def _check_tools(request: ChatRequest) -> None:
    names = [tool.function.name for tool in request.tools or []]
    if not names:
        for field in ("tool_choice", "parallel_tool_calls"):
            if getattr(request, field) not in (None, "none"):
                raise needs(field, "tools")
    if len(set(names)) < len(names):
        raise BadRequest("Two of the tools have the same name.", param="tools", code="invalid_value")
    chosen = request.tool_choice
    if isinstance(chosen, NamedChoice) and chosen.function.name not in names:
        reason = f"`tool_choice` names the function `{chosen.function.name}`, which is not among the tools."
        raise BadRequest(reason, param="tool_choice", code="invalid_value")
