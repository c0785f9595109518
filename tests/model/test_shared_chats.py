"""Equal chats at the same time are one inference, as callers and the engine's counters see it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from schemas import subjects
from tests.broker.cli.conftest import Server, server
from tests.model.conftest import Asker
from tests.model.desk import Desk, opened
from tests.until import holds

__all__ = ["server"]

PARIS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}
# Without its end it goes on as long as it may.
LONG = PARIS | {"max_tokens": 30, "logit_bias": {"2": -100, "0": -100}}
ENDLESS = LONG | {"max_tokens": 4000, "stream": True}


@pytest_asyncio.fixture
async def desk(server: Server, ask: Asker) -> AsyncIterator[Desk]:
    async with opened(server, ask) as found:
        yield found


async def test_streamed_and_plain_share_one_each_in_its_own_shape(desk: Desk) -> None:
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    async with desk.inferences(1):
        bodies = [PARIS | usage, PARIS, PARIS | {"stream": True}, PARIS | {"model": "starter", "user": "kim"}]
        calls = await asyncio.gather(*map(desk.call, bodies))
        ends = await asyncio.gather(*(call.end() for call in calls))
    assert [call.text for call in calls] == ["The capital of France is Paris."] * 4
    assert [len(call.bodies) > 2 for call in calls] == [True, False, True, False]
    for call, end in zip(calls, ends, strict=True):
        assert {body["id"] for body in call.bodies} == {f"chatcmpl-{call.id}"}
        assert end.headers and end.headers[subjects.REQUEST_ID] == call.id
    streamed, plain, without, _ = calls
    assert streamed.bodies[-1]["usage"] == plain.bodies[0]["usage"]
    assert not any("usage" in body for body in without.bodies)


async def test_who_comes_in_the_middle_has_all_of_it(desk: Desk) -> None:
    async with desk.inferences(1):
        first = await desk.call(LONG | {"stream": True})
        await first.until_text()
        later = [await desk.call(LONG | {"stream": stream}) for stream in (True, False)]
        for call in (first, *later):
            await call.end()
    assert later[0].text == later[1].text == first.text != ""
    for call in (first, later[0]):
        numbers = [msg.headers and msg.headers[subjects.SEQ] for msg in call.seen]
        assert numbers == [str(n + 1) for n in range(len(numbers))]


@pytest.mark.parametrize("how", ["cancel", "deadline", "gone"])
async def test_one_that_leaves_takes_nothing_along(desk: Desk, how: str) -> None:
    """The first one, with whom it began."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    headers = {subjects.DEADLINE: soon.isoformat()} if how == "deadline" else {}
    async with desk.inferences(0):
        first = await desk.call(ENDLESS, **headers)
        await first.next()
        second = await desk.call(ENDLESS)
        await second.until_text()
        if how == "cancel":
            await first.cancel()
        if how == "gone":
            await first.inbox.unsubscribe()
        while len(desk.inference._exchanges) == 2:
            await second.next()
        if how != "gone":
            await first.end()
            assert first.status == {"cancel": "499", "deadline": "504"}[how]
        heard = second.text
        while len(second.text) < len(heard) + 20:  # it goes on, and goes on from there
            await second.next()
        assert second.text.startswith(heard)
        assert second.text.startswith("The capital of France is Paris.")
        await second.cancel()
        await second.end()


async def test_a_caller_cancels_only_its_own(desk: Desk) -> None:
    """Another one may have chosen the same id; who says nothing of itself means all."""
    async with desk.inferences(0):
        call = await desk.call(ENDLESS, **{subjects.CALLER: "one"})
        await call.until_text()
        await call.cancel(**{subjects.CALLER: "another"})
        await desk.nc.flush()
        heard = call.text
        while len(call.text) < len(heard) + 20:
            await call.next()
        await call.cancel(**{subjects.CALLER: "one"})
        await call.end()
        assert call.status == "499"


async def test_when_all_have_left_nothing_goes_on(desk: Desk) -> None:
    async with desk.inferences(0):
        calls = [await desk.call(ENDLESS) for _ in range(2)]
        for call in calls:
            await call.until_text()
        assert desk.ask.engine.running == 1
        for call in calls:
            await call.cancel()
            await call.end()
    assert [call.status for call in calls] == ["499", "499"]
    await desk.ask.idle()


async def test_what_differs_or_is_drawn_at_random_is_computed_for_each(desk: Desk) -> None:
    short = PARIS | {"max_tokens": 3}
    changes: list[dict[str, Any]] = [
        *({}, {"max_tokens": 4}, {"stop": ["x"]}, {"n": 2}, {"logprobs": True}),
        *({"response_format": {"type": "json_object"}}, {"presence_penalty": 1}, {"seed": 1}),
        *({"temperature": 1}, {"temperature": 1}, {"temperature": 1, "seed": 1}),
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
    ]
    async with desk.inferences(len(changes)):
        calls = await asyncio.gather(*(desk.call(short | change) for change in changes))
        for call in calls:
            await call.end()
    async with desk.inferences(1):
        seeded = await asyncio.gather(*(desk.call(short | {"temperature": 1, "seed": 1}) for _ in range(2)))
        for call in seeded:
            await call.end()
    assert seeded[0].text == seeded[1].text


async def test_an_answer_that_is_kept_is_answered_again_by_another_worker(server: Server, ask: Asker) -> None:
    async with opened(server, ask, keep=True) as before, before.inferences(1):
        computed = await before.call(PARIS)
        await computed.end()
        await holds(lambda: not before.runs._shared._under_way)  # it is kept behind its end
    async with opened(server, ask, keep=True) as after, after.inferences(0):
        calls = [await after.call(PARIS | {"stream": stream}) for stream in (False, True)]
        for call in calls:
            await call.end()
    plain, streamed = calls
    assert computed.text == plain.text == streamed.text
    [first], [again] = computed.bodies, plain.bodies
    assert again["choices"] == first["choices"]
    assert again["usage"]["completion_tokens"] == first["usage"]["completion_tokens"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == again["usage"]["prompt_tokens"]
    async with opened(server, ask) as without, without.inferences(1):
        await (await without.call(PARIS)).end()
