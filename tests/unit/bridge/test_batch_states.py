"""A batch goes from state to state as OpenAI's do, whoever pushes it; and lines come out as they went in."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batches import states
from bridge.batches.results import Compiler, Tally
from schemas.batches import OVER, Batch, BatchError, Content, KeptBatch, LineResponse, RequestCounts
from schemas.codec import encode
from schemas.completion import ChatCompletion, Choice, ReplyMessage, Usage
from schemas.errors import Conflict, EngineFailed

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


def kept(status: str = "validating", endpoint: str = CHAT, **fields: Any) -> KeptBatch:
    batch = Batch(
        id="batch_1", endpoint=endpoint, input_file_id="file-1", completion_window="24h",
        status=status, created_at=1, expires_at=9, **fields,
    )  # type: ignore[arg-type]  # fmt: skip
    return KeptBatch(batch=batch, input=Content("n", 1, 1, ""), output_seconds=3600)


STEPS: list[Callable[[KeptBatch], KeptBatch]] = [
    partial(states.failed, faults=[BatchError("c", "m")], now=2),
    partial(states.in_progress, total=3, refused=1, model="m", now=2),
    partial(states.counted, sent=2, completed=1, failed=0, usage=None),
    partial(states.finalizing, now=3),
    partial(states.cancelling, now=3),
    partial(states.over, counts=RequestCounts(3, 2, 1), output="o", error="e", now=4),
    partial(states.over, counts=RequestCounts(3, 1, 1), output="o", error="e", now=4),
]


@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_no_push_leads_where_no_state_leads(steps: list[Callable[[KeptBatch], KeptBatch]]) -> None:
    now = kept()
    for step in steps:
        before = now
        try:
            now = step(now)
        except Conflict:
            assert not states.may(before.batch, "cancelling")
        assert now.batch.status == before.batch.status or states.may(before.batch, now.batch.status)
        if before.batch.over:
            assert now.batch == before.batch
        assert (now.batch.failed_at is not None) == (now.batch.status == "failed")


def test_the_way_of_a_good_batch() -> None:
    now = states.in_progress(kept(), total=3, refused=1, model="m", now=2)
    assert (now.batch.request_counts, now.refused) == (RequestCounts(3, 0, 1), 1)
    now = states.counted(now, sent=3, completed=1, failed=1, usage=None)
    assert (now.batch.request_counts, now.sent) == (RequestCounts(3, 1, 2), 3)
    # One that lags behind does not count back.
    assert states.counted(now, sent=1, completed=0, failed=0, usage=None) == now
    now = states.over(states.finalizing(now, 3), RequestCounts(3, 1, 2), "o", "e", 4)
    assert (now.batch.status, now.batch.output_file_id, now.batch.completed_at) == ("completed", "o", 4)


def test_a_batch_with_missing_lines_has_expired() -> None:
    now = states.over(kept("finalizing"), RequestCounts(3, 1, 1), None, "e", 4)
    assert (now.batch.status, now.batch.expired_at) == ("expired", 4)


@pytest.mark.parametrize("status", [*OVER, "finalizing"])
def test_what_is_over_cannot_be_cancelled(status: str) -> None:
    with pytest.raises(Conflict):
        states.cancelling(kept(status), 5)


def test_cancelled_twice_is_cancelled_once() -> None:
    once = states.cancelling(kept("in_progress"), 5)
    assert states.cancelling(once, 6) == once


ANSWER = ChatCompletion("chatcmpl-1", 7, "m", [Choice(0, ReplyMessage("Paris"), "stop")], Usage(3, 2, 5))


def written(
    endpoint: str, body: dict[str, Any], result: bytes | None, status: str = "finalizing", name: str = "a"
) -> Any:
    text = encode({"custom_id": name, "method": "POST", "url": endpoint, "body": body})
    ended = Compiler(kept(status, endpoint).batch).ended(2, text, result)
    assert ended.text.endswith(b"\n")
    assert ended.text.count(b"\n") == 1
    return ended.fate, json.loads(ended.text)


@given(st.text(min_size=1, max_size=20))
def test_a_custom_id_comes_back_as_it_went(name: str) -> None:
    result = encode(LineResponse(200, "r", ANSWER))
    fate, told = written(CHAT, {"messages": []}, result, name=name)
    assert (fate, told["custom_id"], told["error"]) == ("completed", name, None)
    assert told["response"] == {
        "status_code": 200,
        "request_id": "r",
        "body": msgspec.to_builtins(ANSWER),
    }


def test_a_response_is_the_same_whoever_writes_it() -> None:
    result = encode(LineResponse(200, "r", ANSWER))
    first = written(RESPONSES, {"input": "hi"}, result)
    assert first == written(RESPONSES, {"input": "hi"}, result)
    body = first[1]["response"]["body"]
    assert (body["object"], body["output"][0]["content"][0]["text"], body["store"]) == (
        "response",
        "Paris",
        False,
    )


def test_errors_and_missing_lines() -> None:
    fate, told = written(CHAT, {}, encode(LineResponse(500, "r", EngineFailed("no").body())))
    assert (fate, told["response"]["status_code"], told["response"]["body"]["error"]["message"]) == (
        "failed",
        500,
        "no",
    )
    fate, told = written(RESPONSES, {"input": "hi", "temperature": 9}, None)
    assert (fate, told["response"]["body"]["error"]["param"]) == ("failed", "temperature")
    for status, code in (("finalizing", "batch_expired"), ("cancelling", "batch_cancelled")):
        fate, told = written(CHAT, {}, None, status)
        assert (fate, told["response"], told["error"]["code"]) == ("missing", None, code)


def test_the_tally() -> None:
    tally = Tally()
    for result in (
        LineResponse(200, "r", ANSWER),
        LineResponse(200, "r", ANSWER),
        LineResponse(400, "r", {}),
    ):
        tally.add(encode(result))
    assert (tally.completed, tally.failed, tally.done) == (2, 1, 3)
    assert tally.usage is not None
    assert (tally.usage.input_tokens, tally.usage.output_tokens, tally.usage.total_tokens) == (6, 4, 10)
