"""OpenAI's request to `POST /v1/responses`.

Source: OpenAI's API reference, and the types of its SDK, `openai.types.responses`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.chat import JsonObjectFormat, JsonSchema, ReasoningEffort, TextFormat
from schemas.codec import convert, decode
from schemas.errors import BadRequest
from schemas.responses.items import InputItem, InputMessage
from schemas.tools import FunctionName

_MetadataKey = Annotated[str, Meta(max_length=64)]
_MetadataValue = Annotated[str, Meta(max_length=512)]


class SchemaFormat(JsonSchema, frozen=True, forbid_unknown_fields=True, tag="json_schema", tag_field="type"):
    """A chat's `json_schema`, without the object around it."""


class TextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the answer's text looks."""

    format: TextFormat | JsonObjectFormat | SchemaFormat | None = None


class ReasoningConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How hard to think."""

    effort: ReasoningEffort | None = None


class FunctionTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="function", tag_field="type"):
    """A function that the model may call; other kinds are refused by their type. Strict unless it says otherwise."""

    name: FunctionName
    parameters: dict[str, Any] | None = None
    strict: bool | None = True
    description: str | None = None


class ChosenTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="function", tag_field="type"):
    """The one function that has to be called."""

    name: str


class ResponseStreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include_obfuscation: bool | None = None


class ResponseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a response. Every field but the last group has its effect."""

    input: str | list[InputItem]
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    metadata: Annotated[dict[_MetadataKey, _MetadataValue], Meta(max_length=16)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    text: TextConfig | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningConfig | None = None
    include: list[Literal["message.output_text.logprobs"]] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    stream: bool | None = None
    # Accepted only at the value that means "do not".
    background: bool | None = None
    truncation: Literal["disabled"] | None = None
    # They cannot change an answer: accepted without effect, and the README says so.
    stream_options: ResponseStreamOptions | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None

    @property
    def items(self) -> list[InputItem]:
        return [InputMessage(role="user", content=self.input)] if isinstance(self.input, str) else self.input

    @property
    def kept(self) -> bool:
        """Whether it can be asked for again, as it can at OpenAI unless one says otherwise."""
        return self.store is not False

    @property
    def logprobs(self) -> bool:
        return bool(self.include)


_UNSUPPORTED = (
    "access_programs background_options context_management conversation image moderation prompt "
    "reasoning.context reasoning.generate_summary reasoning.mode reasoning.summary text.verbosity"
).split()
REFUSED = {name: f"`{name}` is not supported by this server; leave it out." for name in _UNSUPPORTED}


def decode_request(payload: bytes) -> ResponseRequest:
    """Decode and check a request. Raises BadRequest naming the field in `param`."""
    request = convert(ResponseRequest, _typed(decode(dict[str, Any], payload)), REFUSED)
    if request.background:
        reason = "`background` is not supported by this server: wait for the answer, or have it streamed."
        raise BadRequest(reason, param="background", code="unsupported_parameter")
    if request.top_logprobs and not request.logprobs:
        reason = '`top_logprobs` needs `include: ["message.output_text.logprobs"]`.'
        raise BadRequest(reason, param="top_logprobs", code="invalid_value")
    if request.stream_options is not None and not request.stream:
        raise BadRequest(
            "`stream_options` needs `stream: true`.", param="stream_options", code="invalid_value"
        )
    return request


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    """With the type that a message may leave out."""
    items = body.get("input")
    if not isinstance(items, list):
        return body
    return body | {"input": [_message(item) if isinstance(item, dict) else item for item in items]}


def _message(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message"} | item if "role" in item else item
