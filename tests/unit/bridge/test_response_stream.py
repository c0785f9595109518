"""A chat's answer as a response: whole and streamed say the same, in shapes that OpenAI's SDK takes for its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response as SdkResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from bridge.responses import answered, asked, faults
from bridge.responses.stream import Stream
from schemas.codec import encode
from schemas.completion import (
    ChatChunk,
    ChatCompletion,
    CompletionTokensDetails,
    PromptTokensDetails,
    TokenLogprob,
    Usage,
)
from schemas.errors import BadRequest, Overloaded
from schemas.responses import events
from schemas.responses.request import decode_request
from schemas.responses.response import Response
from worker.jobs import Arguments, Call, Ended, Piece, Text, Thought
from worker.transport import assembly
from worker.transport.assembly import Assembly

SDK_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = Usage(5, 3, 8, PromptTokensDetails(4), CompletionTokensDetails(2))
PARIS = TokenLogprob("Paris", -0.5, [80], [])
NOW = 9


def begun() -> Response:
    return asked.begun(decode_request(b'{"input":"hi","metadata":{"a":"b"}}'), f"resp_{'a' * 32}", 5)


def whole(told: list[Piece | Ended]) -> Response:
    parts = Assembly(1, logprobs=True)
    for event in told:
        parts.add(event)
    return answered.whole(begun(), ChatCompletion("i", 1, "m", parts.choices(), USAGE), NOW)


def streamed(told: list[Piece | Ended]) -> tuple[list[events.Event], Response]:
    stream = Stream(begun())
    choices = [assembly.opening(0), *map(assembly.piece, told)]
    found = [event for choice in choices for event in stream.add(ChatChunk("i", 1, "m", [choice]))]
    found += stream.add(ChatChunk("i", 1, "m", [], usage=USAGE))
    response = stream.end(NOW)
    return [*found, stream.over(response)], response


@st.composite
def answers(draw: st.DrawFn) -> list[Piece | Ended]:
    """What a model may do, in the order in which it does."""
    texts = st.lists(st.text(min_size=1, max_size=3), max_size=3)
    found: list[Piece | Ended] = [Thought(text) for text in draw(texts)]
    found += [Text(text, logprobs=(PARIS,)) for text in draw(texts)]
    for index in range(draw(st.integers(0, 2))):
        found += [Call(f"call_{index}", "f", index), *(Arguments(text, index) for text in draw(texts))]
    finish = "tool_calls" if isinstance(found[-1] if found else None, Call | Arguments) else "stop"
    return [*found, Ended(draw(st.sampled_from([finish, "length"])))]  # type: ignore[arg-type]


@given(answers())
def test_whole_and_streamed_are_the_same(told: list[Piece | Ended]) -> None:
    assert streamed(told)[1] == whole(told)


@given(answers())
def test_the_sdk_takes_them_for_its_own(told: list[Piece | Ended]) -> None:
    found, response = streamed(told)
    SdkResponse.model_validate_json(encode(response), strict=True)
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for number, event in enumerate(found):
        assert event.sequence_number == number
        plain = msgspec.json.decode(encode(event))
        assert plain["type"] == events.name(event)
        state.handle_event(SDK_EVENT.validate_python(plain))
    if response.status == "completed":
        assert state._completed_response is not None
        output = state._completed_response.output
        assert [item.id for item in output] == [item.id for item in response.output]
        assert state._completed_response.output_text == "".join(
            one.text for one in told if isinstance(one, Text)
        )


def test_the_events_of_an_answer_in_openais_order() -> None:
    found, _ = streamed([Text("Pa"), Text("ris"), Call("c", "f"), Arguments("{}"), Ended("tool_calls")])
    assert [events.name(event).removeprefix("response.") for event in found] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip


def test_thoughts_are_an_item_of_their_own() -> None:
    found, response = streamed([Thought("hm"), Text("yes"), Ended("stop")])
    assert [item["type"] for item in msgspec.to_builtins(response.output)] == ["reasoning", "message"]
    names = [events.name(event) for event in found]
    assert names.index("response.reasoning_text.done") < names.index("response.output_text.delta")


def test_an_answer_that_was_cut_is_incomplete() -> None:
    found, response = streamed([Text("Par"), Ended("length")])
    assert events.name(found[-1]) == "response.incomplete"
    told = msgspec.to_builtins(response)
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert told["output"][0]["status"] == "incomplete"
    assert told["completed_at"] is None


def test_usage_in_its_other_names() -> None:
    assert msgspec.to_builtins(whole([Text("a"), Ended("stop")]).usage) == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 8,
    }


def test_a_failure_keeps_what_was_written() -> None:
    stream = Stream(begun())
    for event in (Thought("hm"), Text("Par")):
        stream.add(ChatChunk("i", 1, "m", [assembly.piece(event)]))
    error = faults.told(encode(Overloaded("Too many.").body()))
    last = stream.fail(error, faults.failure(429, error))
    assert [events.name(event) for event in last] == ["error", "response.failed"]
    for event in last:
        SDK_EVENT.validate_json(encode(event))
    told = msgspec.to_builtins(last[-1])["response"]
    assert told["error"] == {"code": "rate_limit_exceeded", "message": "Too many."}
    assert [item["status"] for item in told["output"]] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("messages[3].content", "input"),
        ("response_format", "text.format"),
        ("max_completion_tokens", "max_output_tokens"),
        ("reasoning_effort", "reasoning.effort"),
        ("tools", "tools"),
        ("tools[0].function.name", "tools[0].function.name"),
        (None, None),
    ],
)
def test_a_fault_names_the_field_that_was_sent(param: str | None, expected: str | None) -> None:
    found = faults.told(encode(BadRequest(f"`{param}` is wrong.", param=param, code="x").body()))
    assert (found.param, found.message, found.code) == (expected, f"`{expected}` is wrong.", "x")


def test_what_is_no_error_of_ours_is_told_without_it() -> None:
    assert faults.told(b"oops").message == "The worker failed."
