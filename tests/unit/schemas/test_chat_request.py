"""Every field of a chat request: what it takes, what it refuses, and that the refusal names it."""

import json
from typing import Any

import pytest

from schemas.chat import REFUSED, ChatRequest, JsonObjectFormat, JsonSchemaFormat, TextFormat, decode_request
from schemas.errors import BadRequest

HI = {"role": "user", "content": "hi"}


def ask(**fields: Any) -> ChatRequest:
    return decode_request(json.dumps({"messages": [HI], **fields}).encode())


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("field", "least", "most", "outside"),
    [
        ("temperature", 0, 2, [-0.01, 2.01]),
        ("top_p", 0, 1, [-0.01, 1.01]),
        ("min_p", 0, 1, [-0.01, 1.01]),
        ("top_k", 0, 10**6, [-1]),
        ("seed", -(2**63), 2**63 - 1, [-(2**63) - 1, 2**63]),
        ("presence_penalty", -2, 2, [-2.01, 2.01]),
        ("frequency_penalty", -2, 2, [-2.01, 2.01]),
        ("repetition_penalty", 0.01, 10, [0, -1, 10.01]),
        ("max_tokens", 1, 10**9, [0, -1]),
        ("max_completion_tokens", 1, 10**9, [0, -1]),
        ("n", 1, 128, [0, -1, 129]),
    ],
)
def test_a_number_has_its_range(field: str, least: float, most: float, outside: list[float]) -> None:
    for value in (least, most, None):
        assert getattr(ask(**{field: value}), field) == value
    for value in outside:
        error = refused(**{field: value})
        assert (error.param, error.code, error.status) == (field, "invalid_value", 400)


@pytest.mark.parametrize("field", ["temperature", "top_p", "top_k", "seed", "max_tokens", "n"])
@pytest.mark.parametrize("value", ["1", True, [], {}])
def test_a_number_is_a_number(field: str, value: Any) -> None:
    assert refused(**{field: value}).param == field


@pytest.mark.parametrize("field", ["top_k", "seed", "max_tokens", "max_completion_tokens", "n"])
def test_a_count_is_whole(field: str) -> None:
    assert refused(**{field: 1.5}).param == field


@pytest.mark.parametrize("field", REFUSED)
@pytest.mark.parametrize("value", [None, [], {}, 1, "auto"])
def test_what_is_not_supported_is_refused_by_name(field: str, value: Any) -> None:
    """Also where its value would mean nothing: silence would look like support."""
    error = refused(**{field: value})
    assert error.message == f"`{field}` is not supported by this server; leave it out."
    assert (error.param, error.code) == (field, "unsupported_parameter")


def test_the_refused_fields_are_those_of_openai() -> None:
    assert set(REFUSED) == set(
        "audio function_call functions moderation prediction verbosity web_search_options".split()
    )


def test_only_text_is_made() -> None:
    assert ask(modalities=["text"]).modalities == ["text"]
    assert refused(modalities=["text", "audio"]).param == "modalities[1]"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", "u-1"),
        ("metadata", {"a": "b"}),
        ("store", True),
        ("service_tier", "auto"),
        ("safety_identifier", "s"),
        ("prompt_cache_key", "k"),
        ("prompt_cache_options", {"mode": "explicit"}),
        ("prompt_cache_retention", "24h"),
    ],
)
def test_what_cannot_change_an_answer_is_accepted(field: str, value: Any) -> None:
    assert getattr(ask(**{field: value}), field) == value
    assert getattr(ask(**{field: None}), field) is None


class TestLogprobs:
    def test_without_the_wish_there_are_none(self) -> None:
        assert ask().alternatives is None
        assert ask(logprobs=False).alternatives is None
        assert ask(logprobs=None, top_logprobs=None).alternatives is None

    def test_of_the_tokens_and_of_others_beside_them(self) -> None:
        assert ask(logprobs=True).alternatives == 0
        assert ask(logprobs=True, top_logprobs=0).alternatives == 0
        assert ask(logprobs=True, top_logprobs=20).alternatives == 20

    @pytest.mark.parametrize("fields", [{}, {"logprobs": False}, {"logprobs": None}])
    def test_those_beside_need_those_of_the_tokens(self, fields: dict[str, Any]) -> None:
        error = refused(top_logprobs=3, **fields)
        assert error.message == "`top_logprobs` needs `logprobs: true`."
        assert (error.param, error.code) == ("top_logprobs", "invalid_value")

    @pytest.mark.parametrize("value", [-1, 21, 1.5, True])
    def test_a_range(self, value: Any) -> None:
        assert refused(logprobs=True, top_logprobs=value).param == "top_logprobs"

    @pytest.mark.parametrize("value", [1, 5, "true"])
    def test_the_number_of_an_older_api_is_refused(self, value: Any) -> None:
        assert refused(logprobs=value).param == "logprobs"


class TestReasoning:
    @pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", None])
    def test_effort(self, effort: Any) -> None:
        assert ask(reasoning_effort=effort).reasoning_effort == effort

    @pytest.mark.parametrize("effort", ["most", 1, True])
    def test_another_effort_is_refused(self, effort: Any) -> None:
        assert refused(reasoning_effort=effort).param == "reasoning_effort"

    def test_what_the_template_is_told(self) -> None:
        told = {"enable_thinking": False, "thinking_budget": 10}
        assert ask(chat_template_kwargs=told).chat_template_kwargs == told
        assert refused(chat_template_kwargs=[1]).param == "chat_template_kwargs"


class TestStop:
    def test_one_or_up_to_four(self) -> None:
        assert ask().stops == ask(stop=None).stops == ask(stop=[]).stops == ()
        assert ask(stop="\n").stops == ("\n",)
        assert ask(stop=["a", "b", "c", "끝"]).stops == ("a", "b", "c", "끝")

    def test_five_are_too_many(self) -> None:
        assert refused(stop=list("abcde")).param == "stop"

    def test_an_empty_one_is_refused(self) -> None:
        assert refused(stop="").param == "stop"
        assert refused(stop=["a", ""]).param == "stop[1]"


class TestLogitBias:
    def test_a_range(self) -> None:
        assert ask(logit_bias={"5": -100, "6": 100}).logit_bias == {"5": -100, "6": 100}
        for value in (-100.1, 100.1, "1", None):
            assert refused(logit_bias={"5": value}).param == "logit_bias[...]"

    def test_an_object(self) -> None:
        assert refused(logit_bias=[[5, 1]]).param == "logit_bias"


class TestLimit:
    def test_the_newer_name_wins(self) -> None:
        assert ask().limit is None
        assert ask(max_tokens=5).limit == 5
        assert ask(max_completion_tokens=7).limit == 7
        assert ask(max_tokens=5, max_completion_tokens=7).limit == 7
        assert ask(max_tokens=5).limit_name == "max_tokens"
        assert ask(max_tokens=5, max_completion_tokens=7).limit_name == "max_completion_tokens"


class TestStream:
    def test_options_need_a_stream(self) -> None:
        for stream in (None, False):
            error = refused(stream=stream, stream_options={"include_usage": True})
            assert error.message == "`stream_options` needs `stream: true`."
            assert (error.param, error.code) == ("stream_options", "invalid_value")

    def test_options(self) -> None:
        options = ask(stream=True, stream_options={"include_usage": True}).stream_options
        assert options is not None
        assert options.include_usage
        assert ask(stream=True, stream_options=None).stream_options is None
        assert refused(stream=True, stream_options={"x": 1}).param == "stream_options.x"

    @pytest.mark.parametrize("value", ["true", 1, []])
    def test_a_flag_is_a_flag(self, value: Any) -> None:
        assert refused(stream=value).param == "stream"


class TestResponseFormat:
    def test_text_and_any_object(self) -> None:
        assert ask(response_format={"type": "text"}).response_format == TextFormat()
        assert ask(response_format={"type": "json_object"}).response_format == JsonObjectFormat()

    def test_a_schema(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        asked = {"name": "a", "schema": schema, "strict": True, "description": "d"}
        found = ask(response_format={"type": "json_schema", "json_schema": asked}).response_format
        assert isinstance(found, JsonSchemaFormat)
        assert found.json_schema.schema == schema

    @pytest.mark.parametrize(
        ("value", "param"),
        [
            ({"type": "grammar"}, "response_format.type"),
            ({}, "response_format.type"),
            ("json_object", "response_format"),
            ({"type": "json_schema"}, "response_format.json_schema"),
            ({"type": "json_schema", "json_schema": {"name": "a"}}, "response_format.json_schema.schema"),
            ({"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
            (
                {"type": "json_schema", "json_schema": {"name": "a", "schema": True}},
                "response_format.json_schema.schema",
            ),
            ({"type": "text", "x": 1}, "response_format.x"),
        ],
    )
    def test_another_shape_is_refused_by_its_path(self, value: Any, param: str) -> None:
        assert refused(response_format=value).param == param
