"""The tools of a request and the choice among them: what they take, and what is refused by its path."""

import json
from typing import Any

import pytest

from schemas.chat import ChatRequest, decode_request
from schemas.errors import BadRequest
from schemas.tools import ChosenFunction, FunctionDefinition, NamedChoice, Tool

HI = {"role": "user", "content": "hi"}


def ask(**fields: Any) -> ChatRequest:
    return decode_request(json.dumps({"messages": [HI], **fields}).encode())


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    return caught.value


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
