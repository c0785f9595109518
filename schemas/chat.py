"""OpenAI's chat request, as far as it is honoured here.

Source: OpenAI's API reference, `POST /v1/chat/completions`; `top_k`, `min_p`, `repetition_penalty` and
`chat_template_kwargs` are the extensions that other local servers share.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas import messages as conversation
from schemas.codec import decode
from schemas.errors import BadRequest
from schemas.messages import Message
from schemas.tools import FunctionName, NamedChoice, Tool, ToolChoice

_Unit = Annotated[float, Meta(ge=0, le=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Count = Annotated[int, Meta(ge=1)]
_Bias = Annotated[float, Meta(ge=-100, le=100)]
_StopText = Annotated[str, Meta(min_length=1)]
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


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a chat completion. Every field but the last group has its effect."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    model: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: _Unit | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    min_p: _Unit | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=10)] | None = None
    logit_bias: dict[str, _Bias] | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    stop: _StopText | Annotated[list[_StopText], Meta(max_length=4)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: ReasoningEffort | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Accepted only at the value that means "do not".
    modalities: list[Literal["text"]] | None = None
    # They cannot change an answer: accepted without effect, and the README says so.
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def limit(self) -> int | None:
        """Most new tokens; the newer name wins, as OpenAI's does."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def limit_name(self) -> str:
        return "max_completion_tokens" if self.max_completion_tokens else "max_tokens"

    @property
    def alternatives(self) -> int | None:
        """How many likely tokens are told beside each one of the answer; None when no logprobs are wanted."""
        return (self.top_logprobs or 0) if self.logprobs else None


_UNSUPPORTED = "audio function_call functions moderation prediction verbosity web_search_options".split()
REFUSED = {name: f"`{name}` is not supported by this server; leave it out." for name in _UNSUPPORTED}


def decode_request(payload: bytes) -> ChatRequest:
    """Decode and check a request. Raises BadRequest naming the field in `param`."""
    request = decode(ChatRequest, payload, REFUSED)
    if request.stream_options is not None and not request.stream:
        raise _needs("stream_options", "stream: true")
    if request.top_logprobs is not None and not request.logprobs:
        raise _needs("top_logprobs", "logprobs: true")
    _check_tools(request)
    conversation.check(request.messages)
    return request


def _needs(name: str, other: str) -> BadRequest:
    return BadRequest(f"`{name}` needs `{other}`.", param=name, code="invalid_value")


def _check_tools(request: ChatRequest) -> None:
    names = [tool.function.name for tool in request.tools or []]
    if not names:
        for field in ("tool_choice", "parallel_tool_calls"):
            if getattr(request, field) not in (None, "none"):
                raise _needs(field, "tools")
    if len(set(names)) < len(names):
        raise BadRequest("Two of the tools have the same name.", param="tools", code="invalid_value")
    chosen = request.tool_choice
    if isinstance(chosen, NamedChoice) and chosen.function.name not in names:
        reason = f"`tool_choice` names the function `{chosen.function.name}`, which is not among the tools."
        raise BadRequest(reason, param="tool_choice", code="invalid_value")
