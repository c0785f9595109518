"""Events in, OpenAI's choices and deltas out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.codec import encode
from schemas.completion import TokenLogprob, TopLogprob
from worker.jobs import Arguments, Call, Ended, Piece, Text, Thought
from worker.transport.assembly import Assembly, nothing, opening, piece

HELLO = TokenLogprob("Hel", -0.5, [72, 101, 108], [TopLogprob("Hel", -0.5, [72, 101, 108])])
LO = TokenLogprob("lo", -0.25, [108, 111], [])


def assembled(*events: Piece | Ended, choices: int = 1, logprobs: bool = False) -> list[dict[str, Any]]:
    assembly = Assembly(choices, logprobs)
    for event in events:
        assembly.add(event)
    found: list[dict[str, Any]] = msgspec.json.decode(encode(assembly.choices()))
    return found


def delta(event: Piece | Ended) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(encode(piece(event)))["delta"]
    return found


def test_text_becomes_content() -> None:
    assert assembled(Text("Hel"), Text("lo"), Ended("length")) == [
        {
            "index": 0,
            "message": {"content": "Hello", "role": "assistant", "refusal": None},
            "finish_reason": "length",
            "logprobs": None,
        }
    ]


def test_choices_that_grow_side_by_side_are_told_apart() -> None:
    events = Text("a", 0), Text("x", 1), Ended("stop", 1), Text("b", 0), Ended("length", 0)
    first, second = assembled(*events, choices=2)
    assert (first["index"], first["message"]["content"], first["finish_reason"]) == (0, "ab", "length")
    assert (second["index"], second["message"]["content"], second["finish_reason"]) == (1, "x", "stop")


def test_an_answer_may_be_empty() -> None:
    [choice] = assembled(Ended("stop"))
    assert choice["message"]["content"] == ""


def test_thoughts_stay_out_of_the_content() -> None:
    [choice] = assembled(Thought("hm"), Thought("m"), Text("Yes."), Ended("stop"))
    assert choice["message"]["reasoning_content"] == "hmm"
    assert choice["message"]["content"] == "Yes."


def test_without_thoughts_and_calls_there_are_no_such_fields() -> None:
    [choice] = assembled(Text("Yes."), Ended("stop"))
    assert not {"reasoning_content", "tool_calls"} & set(choice["message"])


def test_an_answer_of_calls_alone_has_no_content() -> None:
    events = Call("c1", "add"), Arguments('{"a"'), Arguments(":1}"), Call("c2", "now", 1), Arguments("{}", 1)
    [choice] = assembled(*events, Ended("tool_calls"))
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"type": "function", "id": "c1", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"type": "function", "id": "c2", "function": {"name": "now", "arguments": "{}"}},
    ]
    assert choice["finish_reason"] == "tool_calls"


def test_text_before_a_call_is_kept() -> None:
    [choice] = assembled(Text("I look."), Call("c1", "look"), Arguments("{}"), Ended("tool_calls"))
    assert choice["message"]["content"] == "I look."


def test_calls_of_one_choice_do_not_reach_the_other() -> None:
    events = Call("c1", "add"), Call("d1", "sub", choice=1), Arguments("1", choice=1), Arguments("0")
    first, second = assembled(*events, Ended("tool_calls"), Ended("tool_calls", 1), choices=2)
    assert first["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": "0"}
    assert second["message"]["tool_calls"][0]["function"] == {"name": "sub", "arguments": "1"}


def test_logprobs_are_there_when_they_were_asked_for() -> None:
    events = Text("Hel", logprobs=(HELLO,)), Text("lo", logprobs=(LO,)), Ended("stop")
    [choice] = assembled(*events, logprobs=True)
    assert choice["logprobs"] == {
        "content": [
            {
                "token": "Hel",
                "logprob": -0.5,
                "bytes": [72, 101, 108],
                "top_logprobs": [{"token": "Hel", "logprob": -0.5, "bytes": [72, 101, 108]}],
            },
            {"token": "lo", "logprob": -0.25, "bytes": [108, 111], "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_logprobs_of_no_tokens() -> None:
    assert assembled(Ended("stop"), logprobs=True)[0]["logprobs"]["content"] == []
    [choice] = assembled(Call("c1", "now"), Arguments("{}"), Ended("tool_calls"), logprobs=True)
    assert choice["logprobs"]["content"] is None


def test_a_choice_that_never_ended_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="choice 1 never ended"):
        assembled(Text("a"), Ended("stop"), choices=2)


def test_a_stream_of_pieces() -> None:
    assert delta(Text("a")) == {"content": "a"}
    assert delta(Thought("a")) == {"reasoning_content": "a"}
    assert delta(Ended("stop")) == {}


def test_a_call_begins_with_its_name_and_goes_on_with_its_arguments() -> None:
    assert delta(Call("c1", "add", 2)) == {
        "tool_calls": [
            {"index": 2, "function": {"name": "add", "arguments": ""}, "id": "c1", "type": "function"}
        ]
    }
    assert delta(Arguments('{"a"', 2)) == {"tool_calls": [{"index": 2, "function": {"arguments": '{"a"'}}]}


@pytest.mark.parametrize(
    "event", [Text("a", 3), Thought("a", 3), Call("c", "f", 0, 3), Arguments("a", 0, 3), Ended("stop", 3)]
)
def test_each_piece_belongs_to_its_choice(event: Piece | Ended) -> None:
    found = piece(event)
    assert found.index == 3
    assert found.finish_reason == ("stop" if isinstance(event, Ended) else None)


def test_a_piece_has_the_logprobs_of_its_tokens() -> None:
    found = piece(Text("Hello", logprobs=(HELLO, LO)))
    assert found.logprobs is not None
    assert found.logprobs.content == [HELLO, LO]
    assert piece(Text("Hello")).logprobs is None


def test_what_begins_a_choice_and_keeps_it_alive() -> None:
    assert opening(2).index == 2
    assert encode(opening(2).delta) == b'{"role":"assistant","content":""}'
    assert encode(nothing(2).delta) == b"{}"
