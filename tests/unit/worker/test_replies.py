"""The messages of an answer, in order, with their headers; the inbox keeps what it is sent."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from nats.aio.client import Client

from schemas.completion import Usage
from schemas.errors import BadRequest, Overloaded, TooLarge
from worker.jobs import Call, Done, Durations, Ended, Prepared, Sampling, Text
from worker.transport.api import CHAT
from worker.transport.replies import Caller, PlainReply, Reply, StreamReply

DONE = Done("length", Usage(3, 4, 7), Durations(0, 0, 0))
TWO = Prepared("org/tiny", [1, 2, 3], 8, Sampling(), choices=2)


class Inbox:
    """Stands for a connection: only its limit and its way out are looked at."""

    max_payload = 2000

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, dict[str, str], str]] = []

    async def publish(self, subject: str, payload: bytes, reply: str, headers: dict[str, str]) -> None:
        assert subject == "inbox"
        self.messages.append((payload, headers, reply))

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(payload) for payload, _, _ in self.messages if payload]

    @property
    def headers(self) -> list[dict[str, str]]:
        return [headers for _, headers, _ in self.messages]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def caller(inbox: Inbox) -> Caller:
    return Caller(cast(Client, inbox), "inbox", "r1")


async def test_a_whole_answer_is_one_message(inbox: Inbox, caller: Caller) -> None:
    reply = PlainReply(caller, CHAT)
    await reply.open([TWO])
    await reply.keep_alive()
    for event in (Text("a", 1), Text("b", 0), Ended("stop", 1), Ended("length", 0)):
        await reply.add(event)
    assert inbox.messages == []
    await reply.done(DONE)
    [answer] = inbox.chunks
    assert (answer["id"], answer["model"], answer["usage"]["total_tokens"]) == ("chatcmpl-r1", "org/tiny", 7)
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["b", "a"]
    assert inbox.headers == [{"Llm-Request-Id": "r1", "Llm-Finish": "length", "Llm-Tokens": "7"}]


async def test_a_stream_begins_each_choice_and_ends_each_choice(inbox: Inbox, caller: Caller) -> None:
    reply = StreamReply(caller, CHAT, "watch", include_usage=True)
    await reply.open([TWO])
    for event in (Text("a", 1), Call("c1", "f", 0, 0), Ended("stop", 1), Ended("tool_calls", 0)):
        await reply.add(event)
    await reply.done(DONE)
    choices = [chunk["choices"][0] for chunk in inbox.chunks[:-1]]
    assert [choice["index"] for choice in choices] == [0, 1, 1, 0, 1, 0]
    assert [choice["delta"].get("role") for choice in choices] == ["assistant"] * 2 + [None] * 4
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["stop", "tool_calls"]
    assert [chunk["usage"] for chunk in inbox.chunks[:-1]] == [None] * 6
    assert inbox.chunks[-1]["choices"] == []
    assert inbox.chunks[-1]["usage"]["total_tokens"] == 7
    assert {chunk["id"] for chunk in inbox.chunks} == {"chatcmpl-r1"}


async def test_a_stream_is_numbered_and_watched(inbox: Inbox, caller: Caller) -> None:
    reply = StreamReply(caller, CHAT, "watch", include_usage=False)
    await reply.open([TWO])
    await reply.done(DONE)
    assert [headers["Llm-Seq"] for headers in inbox.headers] == ["1", "2", "3"]
    assert [reply for _, _, reply in inbox.messages] == ["watch.1", "watch.2", ""]
    end = {"Llm-Request-Id": "r1", "Llm-Finish": "length", "Llm-Tokens": "7", "Llm-Seq": "3"}
    assert inbox.messages[-1][:2] == (b"", end)
    assert not any("usage" in chunk for chunk in inbox.chunks)


async def test_a_keep_alive_is_of_a_choice_that_still_grows(inbox: Inbox, caller: Caller) -> None:
    reply = StreamReply(caller, CHAT, "watch", include_usage=False)
    await reply.open([TWO])
    await reply.add(Ended("stop", 0))
    await reply.keep_alive()
    assert inbox.chunks[-1]["choices"] == [{"index": 1, "delta": {}, "finish_reason": None, "logprobs": None}]
    assert [headers.get("Llm-Keep-Alive") for headers in inbox.headers] == [None, None, None, "true"]
    await reply.add(Ended("stop", 1))
    before = len(inbox.messages)
    await reply.keep_alive()
    assert len(inbox.messages) == before


@pytest.mark.parametrize("retry_after", [None, 7])
async def test_an_error_says_when_to_come_back(inbox: Inbox, caller: Caller, retry_after: int | None) -> None:
    error = Overloaded("Too many\nwait.", retry_after=retry_after)
    expected = {
        "Llm-Request-Id": "r1",
        "Nats-Service-Error": "Too many wait.",
        "Nats-Service-Error-Code": "429",
    }
    if retry_after:
        expected["Retry-After"] = "7"
    await PlainReply(caller, CHAT).fail(error)
    await StreamReply(caller, CHAT, "watch", include_usage=False).fail(error)
    assert inbox.headers == [expected, expected, expected | {"Llm-Seq": "1"}]
    assert [payload for payload, _, _ in inbox.messages][-1] == b""


async def _long_answer(reply: Reply) -> None:
    for event in (Text("x" * 2000), Ended("stop", 0), Ended("stop", 1)):
        await reply.add(event)
    await reply.done(DONE)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_nats_cannot_carry_is_an_error_and_never_sent(
    inbox: Inbox, caller: Caller, stream: bool
) -> None:
    """The server would close the worker's connection for good."""
    reply = StreamReply(caller, CHAT, "watch", include_usage=False) if stream else PlainReply(caller, CHAT)
    await reply.open([TWO])
    with pytest.raises(TooLarge) as caught:
        await _long_answer(reply)
    assert caught.value.code == "answer_too_large"
    assert all(len(payload) < 2000 for payload, _, _ in inbox.messages)
    await reply.fail(caught.value)
    assert inbox.headers[-1]["Nats-Service-Error-Code"] == "413"


async def test_the_end_of_a_failed_stream_is_numbered_after_what_was_sent(
    inbox: Inbox, caller: Caller
) -> None:
    reply = StreamReply(caller, CHAT, "watch", include_usage=False)
    await reply.open([TWO])
    await reply.fail(BadRequest("No."))
    assert [headers.get("Llm-Seq") for headers in inbox.headers] == ["1", "2", None, "3"]
