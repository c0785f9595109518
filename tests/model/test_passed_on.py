"""Asked for a model that only another worker has, a worker passes the request on: nobody has to know who has what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from tests.broker.cli.conftest import Server, server
from tests.model.conftest import Asker, Make
from tests.model.desk import Desk, opened
from worker.engine.catalog import Entry

__all__ = ["server"]

PARIS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}


@pytest_asyncio.fixture
async def desk(server: Server, ask: Asker, make_engine: Make, entry: Entry) -> AsyncIterator[Desk]:
    """One that all are asked at, beside another that has `Org/Other` alone and is asked by its name only."""
    other = replace(entry, name="Org/Other", aliases=("other",))
    async with (
        make_engine(1, default=other) as theirs,
        opened(server, theirs, name="other", of_any=False),
        opened(server, ask) as found,
    ):
        yield found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["Org/Other", "OTHER"])
async def test_who_has_it_answers_in_our_place(desk: Desk, model: str, stream: bool) -> None:
    async with desk.inferences(0):
        call = await desk.call(PARIS | {"model": model, "stream": stream})
        await call.end()
    assert (call.text, call.status) == ("The capital of France is Paris.", "stop")
    assert {body["model"] for body in call.bodies} == {"Org/Other"}
    assert {body["id"] for body in call.bodies} == {f"chatcmpl-{call.id}"}


async def test_it_is_cancelled_by_its_id(desk: Desk) -> None:
    endless = {"model": "other", "max_tokens": 4000, "stream": True, "logit_bias": {"2": -100, "0": -100}}
    call = await desk.call(PARIS | endless)
    await call.until_text()
    await call.cancel()
    await call.end()
    assert call.status == "499"


async def test_what_nobody_has_is_still_refused(desk: Desk) -> None:
    call = await desk.call(PARIS | {"model": "nobodys"})
    await call.end()
    assert call.status == "404"


async def test_our_own_are_answered_here(desk: Desk) -> None:
    async with desk.inferences(1):
        calls = await asyncio.gather(*(desk.call(PARIS | {"model": name}) for name in ("starter", "other")))
        for call in calls:
            await call.end()
