"""The fields that people and programs were told of: a change here is a change of the contract."""

from typing import Any

import msgspec
import pytest

from schemas.articles import Analysis, Article, DeadLetter
from schemas.chat import REFUSED, ChatRequest
from schemas.completion import (
    ChatChunk,
    ChatCompletion,
    Choice,
    ChoiceLogprobs,
    ChunkChoice,
    CompletionTokensDetails,
    Delta,
    FunctionDelta,
    PromptTokensDetails,
    ReplyMessage,
    TokenLogprob,
    ToolCallDelta,
    TopLogprob,
    Usage,
)
from schemas.errors import ErrorBody
from schemas.messages import (
    AssistantMessage,
    DeveloperMessage,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from schemas.presence import Presence
from schemas.text import TextChoice, TextCompletion, TextLogprobs, TextRequest
from schemas.tools import FunctionCall, FunctionDefinition, NamedChoice, Tool, ToolCall

GENERATION = (
    "model temperature top_p top_k min_p seed presence_penalty frequency_penalty repetition_penalty "
    "logit_bias max_tokens stop n stream stream_options"
).split()
EFFECTIVE = (
    "messages max_completion_tokens logprobs top_logprobs response_format tools tool_choice "
    "parallel_tool_calls reasoning_effort chat_template_kwargs"
).split()
ONLY_OFF = ["modalities"]
ASSISTANT = "role content name refusal reasoning_content tool_calls annotations audio function_call"
WITHOUT_EFFECT = (
    "user metadata store service_tier safety_identifier prompt_cache_key prompt_cache_options prompt_cache_retention"
).split()


def schema(kind: type) -> dict[str, Any]:
    name = msgspec.json.schema(kind)["$ref"].removeprefix("#/$defs/")
    found: dict[str, Any] = msgspec.json.schema(kind)["$defs"][name]
    return found


def fields(kind: type) -> list[str]:
    return list(schema(kind)["properties"])


def test_a_chat_request() -> None:
    assert fields(ChatRequest) == [*GENERATION, "user", *EFFECTIVE, *ONLY_OFF, *WITHOUT_EFFECT[1:]]
    assert schema(ChatRequest)["required"] == ["messages"]
    assert schema(ChatRequest)["additionalProperties"] is False


def test_a_text_request() -> None:
    assert fields(TextRequest) == [*GENERATION, "user", "prompt", "logprobs", "echo", "suffix", "best_of"]
    assert schema(TextRequest)["required"] == ["prompt"]
    assert schema(TextRequest)["additionalProperties"] is False


def test_every_field_of_openais_completions_is_known() -> None:
    from openai.types.completion_create_params import CompletionCreateParamsBase

    assert set(CompletionCreateParamsBase.__annotations__) <= set(fields(TextRequest))


def test_every_field_of_openai_is_either_taken_or_refused_with_a_sentence() -> None:
    """The SDK's own list: what it can send and we do not know would be refused as if it were a typing error."""
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase

    unknown = set(CompletionCreateParamsBase.__annotations__) - set(fields(ChatRequest)) - set(REFUSED)
    assert unknown == set()
    assert not set(REFUSED) & set(fields(ChatRequest))


def test_what_is_refused_of_a_request() -> None:
    assert list(REFUSED) == (
        "audio function_call functions moderation prediction verbosity web_search_options".split()
    )


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (SystemMessage, "role content name"),
        (DeveloperMessage, "role content name"),
        (UserMessage, "role content name"),
        (AssistantMessage, ASSISTANT),
        (ToolMessage, "role content tool_call_id name"),
        (TextPart, "type text"),
        (Tool, "type function"),
        (FunctionDefinition, "name description parameters strict"),
        (NamedChoice, "type function"),
        (ToolCall, "type id function"),
        (FunctionCall, "name arguments"),
    ],
)
def test_the_parts_of_a_request(kind: type, names: str) -> None:
    assert fields(kind) == names.split()
    assert schema(kind)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Choice, "index message finish_reason logprobs"),
        (ReplyMessage, "content role refusal reasoning_content tool_calls"),
        (ChoiceLogprobs, "content refusal"),
        (TextChoice, "index text finish_reason logprobs"),
        (TextLogprobs, "text_offset tokens token_logprobs top_logprobs"),
        (TokenLogprob, "token logprob bytes top_logprobs"),
        (TopLogprob, "token logprob bytes"),
        (ChunkChoice, "index delta finish_reason logprobs"),
        (Delta, "role content reasoning_content tool_calls"),
        (ToolCallDelta, "index function id type"),
        (FunctionDelta, "name arguments"),
        (
            Usage,
            "prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details",
        ),
        (PromptTokensDetails, "cached_tokens"),
        (CompletionTokensDetails, "reasoning_tokens"),
    ],
)
def test_the_parts_of_an_answer(kind: type, names: str) -> None:
    assert fields(kind) == names.split()


def test_how_an_answer_can_end() -> None:
    assert schema(Choice)["properties"]["finish_reason"] == {"enum": ["length", "stop", "tool_calls"]}


def test_replies() -> None:
    assert fields(ChatCompletion) == ["id", "created", "model", "choices", "usage", "object"]
    assert fields(ChatChunk) == ["id", "created", "model", "choices", "object", "usage"]
    assert fields(TextCompletion) == ["id", "created", "model", "choices", "object", "usage"]
    assert fields(ErrorBody) == ["error"]


def test_an_article() -> None:
    assert fields(Article) == ["title", "body", "id", "url", "source", "published_at", "lang", "meta"]
    assert schema(Article)["required"] == ["title", "body"]


def test_an_analysis() -> None:
    assert (
        fields(Analysis)
        == (
            "id recipe recipe_version article model result usage timings attempts worker finished_at cached"
        ).split()
    )


def test_a_dead_letter() -> None:
    assert (
        fields(DeadLetter)
        == ("subject stream sequence reason error attempts worker failed_at first_published replace").split()
    )


def test_a_presence() -> None:
    assert (
        fields(Presence)
        == (
            "worker version pid host models slots running waiting prompt_tokens_per_second "
            "decode_tokens_per_second memory_bytes started_at updated_at"
        ).split()
    )
