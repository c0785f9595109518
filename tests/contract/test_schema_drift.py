"""The fields that people and programs were told of: a change here is a change of the contract."""

from typing import Any

import msgspec

from schemas.articles import Analysis, Article, DeadLetter
from schemas.chat import REFUSED, ChatChunk, ChatCompletion, ChatRequest
from schemas.errors import ErrorBody
from schemas.presence import Presence

EFFECTIVE = (
    "messages model temperature top_p top_k min_p seed presence_penalty frequency_penalty repetition_penalty "
    "logit_bias max_tokens max_completion_tokens stop response_format stream stream_options"
).split()
ONLY_OFF = "n logprobs modalities".split()
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
    assert fields(ChatRequest) == EFFECTIVE + ONLY_OFF + WITHOUT_EFFECT
    assert schema(ChatRequest)["required"] == ["messages"]
    assert schema(ChatRequest)["additionalProperties"] is False


def test_every_field_of_openai_is_either_taken_or_refused_with_a_sentence() -> None:
    """The SDK's own list: what it can send and we do not know would be refused as if it were a typing error."""
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase

    unknown = set(CompletionCreateParamsBase.__annotations__) - set(fields(ChatRequest)) - set(REFUSED)
    assert unknown == set()
    assert not set(REFUSED) & set(fields(ChatRequest))


def test_replies() -> None:
    assert fields(ChatCompletion) == ["id", "created", "model", "choices", "usage", "object"]
    assert fields(ChatChunk) == ["id", "created", "model", "choices", "object", "usage"]
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
    assert fields(DeadLetter) == ("subject stream sequence reason error attempts worker failed_at").split()


def test_a_presence() -> None:
    assert (
        fields(Presence)
        == (
            "worker version pid host models slots running waiting prompt_tokens_per_second "
            "decode_tokens_per_second memory_bytes started_at updated_at"
        ).split()
    )
