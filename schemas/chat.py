"""OpenAI's chat completion: request, reply and chunk, as far as they are honoured here.

Source: OpenAI's API reference, `POST /v1/chat/completions`; `top_k`, `min_p` and `repetition_penalty` are
the extensions that other local servers share.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from schemas.codec import decode
from schemas.errors import BadRequest

_Unit = Annotated[float, Meta(ge=0, le=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Count = Annotated[int, Meta(ge=1)]
_Bias = Annotated[float, Meta(ge=-100, le=100)]
_StopText = Annotated[str, Meta(min_length=1)]


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text", tag_field="type"):
    """One part of a message's content. Images and audio are not text: they are refused by their type."""

    text: str


Content = str | list[TextPart]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role"):
    content: Content
    name: str | None = None


class SystemMessage(_Message, frozen=True, tag="system"):
    pass


class DeveloperMessage(_Message, frozen=True, tag="developer"):
    pass


class UserMessage(_Message, frozen=True, tag="user"):
    pass


class AssistantMessage(_Message, frozen=True, tag="assistant"):
    refusal: None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage


class JsonSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `json_schema` of a response format. The answer always validates, so `strict` changes nothing."""

    name: str
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
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    logit_bias: dict[str, _Bias] | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    stop: _StopText | Annotated[list[_StopText], Meta(max_length=4)] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Accepted only at the value that means "do not".
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
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


_UNSUPPORTED = (
    "audio function_call functions moderation parallel_tool_calls prediction reasoning_effort tool_choice "
    "tools top_logprobs verbosity web_search_options"
).split()
REFUSED = {name: f"`{name}` is not supported by this server; leave it out." for name in _UNSUPPORTED}


def decode_request(payload: bytes) -> ChatRequest:
    """Decode and check a request. Raises BadRequest naming the field in `param`."""
    request = decode(ChatRequest, payload, REFUSED)
    if request.stream_options is not None and not request.stream:
        raise BadRequest(
            "`stream_options` needs `stream: true`.", param="stream_options", code="invalid_value"
        )
    return request


class PromptTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0


class Usage(msgspec.Struct, frozen=True):
    """Token counts, as the model's own tokenizer counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = PromptTokensDetails()


class ReplyMessage(msgspec.Struct, frozen=True):
    content: str
    role: str = "assistant"
    refusal: None = None


class Choice(msgspec.Struct, frozen=True):
    index: int
    message: ReplyMessage
    finish_reason: str
    logprobs: None = None


class ChatCompletion(msgspec.Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    object: str = "chat.completion"


class Delta(msgspec.Struct, frozen=True):
    role: str | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True):
    index: int
    delta: Delta
    finish_reason: str | None = None
    logprobs: None = None


class ChatChunk(msgspec.Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    object: str = "chat.completion.chunk"
    usage: Usage | UnsetType | None = UNSET
