"""OpenAI's response object, and how it is kept."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.responses.items import InputItem, OutputItem, said_before
from schemas.responses.request import ChosenTool, FunctionTool, ReasoningConfig, TextConfig

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]


class InputTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0  # nobody pays for it here


class OutputTokensDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int = 0


class ResponseUsage(msgspec.Struct, frozen=True):
    """A chat's usage by its other names."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()


class IncompleteDetails(msgspec.Struct, frozen=True):
    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ResponseFailure(msgspec.Struct, frozen=True):
    """Why there is no (more) answer, in one of the few codes that OpenAI has for it."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response, and the request that it answers. What the request left open and a model's makers choose is null."""

    id: str
    created_at: int
    model: str
    status: ResponseStatus = "in_progress"
    output: list[OutputItem] = []
    usage: ResponseUsage | None = None
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    completed_at: int | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool = True
    metadata: dict[str, str] = {}
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    text: TextConfig = TextConfig()
    tools: list[FunctionTool] = []
    tool_choice: Literal["none", "auto", "required"] | ChosenTool = "auto"
    parallel_tool_calls: bool = True
    reasoning: ReasoningConfig = ReasoningConfig()
    top_logprobs: int = 0
    truncation: Literal["disabled"] = "disabled"
    background: bool = False
    user: str | None = None
    object: Literal["response"] = "response"


class KeptResponse(msgspec.Struct, frozen=True):
    """A value of the bucket `llm_responses`: `input` is all that came before the output, of earlier responses too."""

    response: Response
    input: list[InputItem]

    @property
    def conversation(self) -> list[InputItem]:
        return [*self.input, *map(said_before, self.response.output)]


class DeletedResponse(msgspec.Struct, frozen=True):
    id: str
    object: Literal["response"] = "response"
    deleted: bool = True
