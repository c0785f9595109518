"""The messages of a request: each role, what was called in between, and what is refused by its path."""

import json
from typing import Any

import pytest

from schemas import messages
from schemas.chat import ChatRequest, decode_request
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
from schemas.tools import FunctionCall, ToolCall

HI = {"role": "user", "content": "hi"}


def ask(**fields: Any) -> ChatRequest:
    return decode_request(json.dumps({"messages": [HI], **fields}).encode())


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    return caught.value


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

    def test_another_models_refusal_may_be_an_earlier_answer(self) -> None:
        answer = {"role": "assistant", "content": None, "refusal": "No."}
        assert ask(messages=[HI, answer, HI]).messages[1] == AssistantMessage(None, refusal="No.")
        parts = [{"type": "text", "text": "Well: "}, {"type": "refusal", "refusal": "no."}]
        [_, answered] = ask(messages=[HI, {"role": "assistant", "content": parts}]).messages
        assert messages.text(answered.content) == "Well: no."
        assert self.refused({"role": "user", "content": parts}).param == "messages[0].content[1].type"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("function_call", {"name": "f", "arguments": "{}"}),
            ("audio", {"id": "a"}),
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
        assert "`content`, `refusal` or `tool_calls`" in error.message

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

    def test_an_answer_may_name_the_function(self) -> None:
        named = ask(messages=[HI, CALLED, {**ANSWERED, "name": "add"}])
        assert named.messages[2] == ToolMessage("2", "call_1", "add")

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

    def test_two_calls_of_one_message_have_two_ids(self) -> None:
        error = self.refused(HI, CALLED | {"tool_calls": [CALL, CALL]}, ANSWERED, ANSWERED)
        assert (error.param, error.code) == ("messages[1].tool_calls", "invalid_value")

    def test_a_call_is_answered_once(self) -> None:
        assert self.refused(HI, CALLED, ANSWERED, ANSWERED).param == "messages[3].tool_call_id"

    @pytest.mark.parametrize(
        "after", [[], [HI], [HI, ANSWERED], [{**ANSWERED, "tool_call_id": "call_2"}, HI]]
    )
    def test_a_call_without_its_answer_is_refused(self, after: list[Any]) -> None:
        called = CALLED | {"tool_calls": [CALL, {**CALL, "id": "call_2"}]}
        error = self.refused(HI, called, *after)
        assert (error.param, error.code) == ("messages[1].tool_calls", "invalid_value")
        assert "`call_1`" in error.message

    def test_an_id_may_come_again_in_a_later_turn(self) -> None:
        """Some models number their calls anew each time."""
        assert len(ask(messages=[HI, CALLED, ANSWERED, CALLED, ANSWERED]).messages) == 5
        assert self.refused(HI, CALLED, ANSWERED, HI, ANSWERED).param == "messages[4].tool_call_id"

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
