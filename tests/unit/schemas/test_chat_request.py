"""Every field of a chat request: what it takes, what it refuses, and that the refusal names it."""

import json
from typing import Any

import pytest

from schemas.chat import REFUSED, ChatRequest, JsonObjectFormat, JsonSchemaFormat, TextFormat, decode_request
from schemas.errors import BadRequest
from schemas.messages import (
    AssistantMessage,
    DeveloperMessage,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    text,
)
from schemas.tools import ChosenFunction, FunctionCall, FunctionDefinition, NamedChoice, Tool, ToolCall

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


class TestMessages:
    def refused(self, *messages: Any) -> BadRequest:
        return refused(messages=list(messages))

    def test_there_is_at_least_one(self) -> None:
        assert self.refused().param == "messages"
        assert "length >= 1" in self.refused().message

    def test_each_role_has_its_kind(self) -> None:
        roles = ("system", "developer", "user", "assistant")
        kinds = [
            type(message) for message in ask(messages=[{"role": r, "content": ""} for r in roles]).messages
        ]
        assert kinds == [SystemMessage, DeveloperMessage, UserMessage, AssistantMessage]

    @pytest.mark.parametrize("role", ["function", "User", "", None, 1])
    def test_another_role_is_refused(self, role: Any) -> None:
        assert self.refused(HI, {"role": role, "content": "x"}).param == "messages[1].role"

    def test_a_role_is_needed(self) -> None:
        error = self.refused({"content": "x"})
        assert (error.param, error.code) == ("messages[0].role", "missing_required_parameter")

    @pytest.mark.parametrize("content", [None, 1, {}, True])
    def test_content_is_text_or_parts(self, content: Any) -> None:
        assert self.refused({"role": "user", "content": content}).param == "messages[0].content"

    def test_parts_of_text(self) -> None:
        parts = [{"type": "text", "text": "비트"}, {"type": "text", "text": "코인"}]
        [message] = ask(messages=[{"role": "user", "content": parts}]).messages
        assert message.content == [TextPart("비트"), TextPart("코인")]

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            {"type": "file", "file": {"file_id": "f"}},
        ],
    )
    def test_a_part_that_is_no_text_is_refused_by_its_type(self, part: dict[str, Any]) -> None:
        error = self.refused({"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]})
        assert error.param == "messages[0].content[1].type"
        assert f"'{part['type']}'" in error.message

    def test_a_name_is_kept(self) -> None:
        assert ask(messages=[{**HI, "name": "kim"}]).messages == [UserMessage("hi", "kim")]

    def test_an_earlier_answer_may_come_back_as_it_was(self) -> None:
        answer = {"role": "assistant", "content": "Yes.", "refusal": None}
        assert ask(messages=[HI, answer, HI]).messages[1] == AssistantMessage("Yes.")

    def test_the_message_of_an_sdk_may_come_back_with_all_its_empty_fields(self) -> None:
        empty = dict.fromkeys(["refusal", "audio", "function_call", "tool_calls", "name", "annotations"])
        answer = {"role": "assistant", "content": "Yes.", **empty, "reasoning_content": "Hm."}
        assert ask(messages=[HI, answer]).messages[1] == AssistantMessage("Yes.", reasoning_content="Hm.")
        noted = AssistantMessage("Yes.", reasoning_content="Hm.", annotations=[])
        assert ask(messages=[HI, answer | {"annotations": []}]).messages[1] == noted

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("function_call", {"name": "f", "arguments": "{}"}),
            ("audio", {"id": "a"}),
            ("refusal", "No."),
            ("surprise", 1),
        ],
    )
    def test_an_earlier_answer_with_more_than_text_and_calls_is_refused(self, field: str, value: Any) -> None:
        error = self.refused({"role": "assistant", "content": "", field: value})
        assert error.param == f"messages[0].{field}"

    @pytest.mark.parametrize("fields", [{}, {"content": None}, {"tool_calls": []}, {"tool_calls": None}])
    def test_an_earlier_answer_says_or_calls_something(self, fields: dict[str, Any]) -> None:
        error = self.refused(HI, {"role": "assistant", **fields})
        assert (error.param, error.code) == ("messages[1].content", "invalid_value")
        assert "`content` or `tool_calls`" in error.message

    def test_the_text_of_parts_is_one_text(self) -> None:
        assert text([TextPart("비트"), TextPart("코인")]) == "비트코인"
        assert text("a") == "a"
        assert text(None) == text([]) == ""


CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWERED = {"role": "tool", "content": "2", "tool_call_id": "call_1"}


class TestToolMessages:
    def refused(self, *messages: Any) -> BadRequest:
        return refused(messages=list(messages))

    def test_a_round_trip(self) -> None:
        call, answer = ask(messages=[HI, CALLED, ANSWERED]).messages[1:]
        assert call == AssistantMessage(None, tool_calls=[ToolCall("call_1", FunctionCall("add", '{"a":1}'))])
        assert answer == ToolMessage("2", "call_1")

    def test_an_answer_may_be_parts(self) -> None:
        parts = {**ANSWERED, "content": [{"type": "text", "text": "2"}]}
        assert ask(messages=[HI, CALLED, parts]).messages[2] == ToolMessage([TextPart("2")], "call_1")

    def test_each_call_of_each_message_may_be_answered(self) -> None:
        twice = {**CALLED, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}
        later = {**CALLED, "tool_calls": [{**CALL, "id": "call_3"}]}
        answers = [{**ANSWERED, "tool_call_id": f"call_{number}"} for number in (2, 1, 3)]
        assert len(ask(messages=[HI, twice, *answers[:2], later, answers[2]]).messages) == 6

    @pytest.mark.parametrize("before", [[HI], [HI, CALLED | {"tool_calls": [{**CALL, "id": "call_2"}]}]])
    def test_an_answer_without_its_call_is_refused(self, before: list[Any]) -> None:
        error = self.refused(*before, ANSWERED)
        assert error.param == f"messages[{len(before)}].tool_call_id"
        assert "`call_1`" in error.message

    def test_a_call_comes_before_its_answer(self) -> None:
        assert self.refused(HI, ANSWERED, CALLED).param == "messages[1].tool_call_id"

    def test_an_answer_names_its_call(self) -> None:
        error = self.refused(HI, CALLED, {"role": "tool", "content": "2"})
        assert (error.param, error.code) == ("messages[2].tool_call_id", "missing_required_parameter")

    @pytest.mark.parametrize(
        ("call", "param"),
        [
            ({**CALL, "type": "custom"}, "messages[0].tool_calls[0].type"),
            ({**CALL, "id": 1}, "messages[0].tool_calls[0].id"),
            ({"type": "function", "function": CALL["function"]}, "messages[0].tool_calls[0].id"),
            ({**CALL, "function": {"name": "add"}}, "messages[0].tool_calls[0].function.arguments"),
            (
                {**CALL, "function": {"name": "add", "arguments": {}}},
                "messages[0].tool_calls[0].function.arguments",
            ),
        ],
    )
    def test_a_call_of_another_shape_is_refused_by_its_path(self, call: Any, param: str) -> None:
        assert self.refused({**CALLED, "tool_calls": [call]}).param == param


def function(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


class TestTools:
    def test_a_function(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "number"}}}
        told = function("add", description="Adds.", parameters=schema, strict=True)
        assert ask(tools=[told]).tools == [Tool(FunctionDefinition("add", "Adds.", schema, True))]
        assert ask(tools=[function("now")]).tools == [Tool(FunctionDefinition("now"))]

    @pytest.mark.parametrize("tools", [None, []])
    def test_there_may_be_none(self, tools: Any) -> None:
        assert ask(tools=tools).tools == tools
        assert ask(tools=tools, tool_choice="none").tool_choice == "none"

    @pytest.mark.parametrize(
        ("tool", "param"),
        [
            ({"type": "custom", "custom": {"name": "x"}}, "tools[0].type"),
            ({"type": "web_search"}, "tools[0].type"),
            ({"type": "function"}, "tools[0].function"),
            ({"type": "function", "function": {}}, "tools[0].function.name"),
            (function("x", surprise=1), "tools[0].function.surprise"),
            (function("x", parameters=[]), "tools[0].function.parameters"),
            (function("x", strict="yes"), "tools[0].function.strict"),
            ("x", "tools[0]"),
        ],
    )
    def test_another_kind_is_refused_by_its_path(self, tool: Any, param: str) -> None:
        assert refused(tools=[tool]).param == param

    def test_a_custom_tool_is_refused_by_its_type(self) -> None:
        assert "'custom'" in refused(tools=[{"type": "custom", "custom": {"name": "x"}}]).message

    @pytest.mark.parametrize("name", ["", "a b", "a.b", "더하기", "a" * 65, "a\n", "a/b"])
    def test_a_name_is_one_that_any_model_can_write(self, name: str) -> None:
        assert refused(tools=[function(name)]).param == "tools[0].function.name"

    @pytest.mark.parametrize("name", ["a", "get_weather-2", "A" * 64])
    def test_such_names_are_good(self, name: str) -> None:
        assert ask(tools=[function(name)]).tools == [Tool(FunctionDefinition(name))]

    def test_two_of_one_name_are_refused(self) -> None:
        error = refused(tools=[function("a"), function("b"), function("a")])
        assert (error.param, error.code) == ("tools", "invalid_value")

    def test_128_are_the_most(self) -> None:
        many = [function(f"f{number}") for number in range(129)]
        assert ask(tools=many[:128]).tools is not None
        assert refused(tools=many).param == "tools"


class TestToolChoice:
    @pytest.mark.parametrize("choice", ["none", "auto", "required", None])
    def test_by_a_word(self, choice: Any) -> None:
        assert ask(tools=[function("a")], tool_choice=choice).tool_choice == choice

    def test_by_name(self) -> None:
        chosen = ask(tools=[function("a"), function("b")], tool_choice=function("b")).tool_choice
        assert chosen == NamedChoice(ChosenFunction("b"))

    def test_the_name_is_one_of_the_tools(self) -> None:
        error = refused(tools=[function("a")], tool_choice=function("b"))
        assert (error.param, error.code) == ("tool_choice", "invalid_value")
        assert "`b`" in error.message

    @pytest.mark.parametrize("tools", [None, []])
    @pytest.mark.parametrize("choice", ["auto", "required", function("a")])
    def test_it_needs_tools(self, tools: Any, choice: Any) -> None:
        error = refused(tools=tools, tool_choice=choice)
        assert error.message == "`tool_choice` needs `tools`."
        assert (error.param, error.code) == ("tool_choice", "invalid_value")

    @pytest.mark.parametrize(
        ("choice", "param"),
        [
            ("any", "tool_choice"),
            (1, "tool_choice"),
            ({"type": "allowed_tools", "allowed_tools": {}}, "tool_choice.type"),
            ({"type": "custom", "custom": {"name": "a"}}, "tool_choice.type"),
            ({"type": "function", "function": {}}, "tool_choice.function.name"),
        ],
    )
    def test_another_one_is_refused(self, choice: Any, param: str) -> None:
        assert refused(tools=[function("a")], tool_choice=choice).param == param

    @pytest.mark.parametrize("value", [True, False])
    def test_calls_side_by_side_need_tools(self, value: bool) -> None:
        assert ask(tools=[function("a")], parallel_tool_calls=value).parallel_tool_calls is value
        assert refused(parallel_tool_calls=value).param == "parallel_tool_calls"


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
