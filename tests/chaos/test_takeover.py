"""A worker that is gone gives its work to another, a sleeper adds nothing, and a lost piece of a stream is an error."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import signal
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from schemas import streams
from tests.chaos.conftest import option
from tests.chaos.ends import computed, ends, held, settled
from tests.chaos.house import ACK_WAIT, House
from tests.chaos.load import Publisher
from tests.chaos.proxy import Proxy


async def test_a_second_worker_takes_over_what_a_killed_one_had(house: House) -> None:
    await _take_over(house, ACK_WAIT)


@pytest.mark.timeout(200)
async def test_it_takes_over_in_time_with_the_contracts_own_ack_wait(
    house: House, request: pytest.FixtureRequest
) -> None:
    if not option(request.config, "--long"):
        pytest.skip("by hand: --long")
    await _take_over(house, streams.ACK_WAIT)


async def _take_over(house: House, ack_wait: float) -> None:
    first = await house.worker(CHAOS_ACK_WAIT=str(ack_wait))
    publisher = Publisher(await house.connect("publisher"))
    operator = await house.connect("operator")
    for number in range(8):
        await publisher.send(f"a{number}", "STUCK worker-1")
    await held(operator, 8)
    await house.worker(CHAOS_ACK_WAIT=str(ack_wait))
    killed = dt.datetime.now(dt.UTC)
    await first.stop(signal.SIGKILL)
    await settled(operator, within=ack_wait + 20)
    found = await ends(operator)
    assert found.faults(publisher.accepted) == []
    assert [one["attempts"] for one in found.analyses.values()] == [2] * 8
    last = max(dt.datetime.fromisoformat(str(one["finished_at"])) for one in found.analyses.values())
    seconds = (last - killed).total_seconds()
    print(f"\nall taken over and done within {seconds:.1f} s of the kill; the ack wait is {ack_wait:g} s")
    assert seconds < ack_wait + 5


async def test_a_worker_that_wakes_up_publishes_nothing_twice(house: House) -> None:
    """The lid closes while it works, another takes over, and the lid opens when one is done and others are not."""
    first = await house.worker(NATS_MLX_WORKER_SHUTDOWN_GRACE="20")
    publisher = Publisher(await house.connect("publisher"))
    ids = [f"a{number}" for number in range(6)]
    operator = await house.connect("operator")
    await asyncio.gather(*(publisher.send(id, f"SLOW 3.{number}") for number, id in enumerate(ids)))
    await held(operator, len(ids))
    first.signal(signal.SIGSTOP)
    second = await house.worker(NATS_MLX_WORKER_SHUTDOWN_GRACE="20")
    await second.said('"event": "article"', within=20)
    first.signal(signal.SIGCONT)
    await settled(operator, within=20)
    await publisher.send("after")
    await settled(operator, within=20)
    for worker in (first, second):
        await worker.stop()  # when it has carried out whatever it had in mind
        assert worker.codes == [0]
    assert (await ends(operator)).faults(publisher.accepted) == []
    assert first.count("ended_elsewhere") + first.count("end_exists") > 0


async def test_a_worker_whose_network_was_cut_keeps_its_answers(house: House) -> None:
    """Nobody else is there: it stores what it had computed when the network is back, and computes nothing again."""
    worker = await house.worker()
    publisher = Publisher(await house.connect("publisher"))
    operator = await house.connect("operator")
    await asyncio.gather(*(publisher.send(f"a{number}", "SLOW 3") for number in range(6)))
    await held(operator, 6)
    house.wires[worker.name].cut()
    await asyncio.sleep(ACK_WAIT + 0.5)
    house.wires[worker.name].heal()
    await settled(operator, within=30)
    found = await ends(operator)
    assert found.faults(publisher.accepted) == []
    assert computed(house.trace) == 6
    assert worker.codes == []


@pytest.mark.parametrize("side", ["worker-1", "bridge"])
async def test_a_reconnect_in_the_middle_of_a_stream_is_an_error_or_nothing(house: House, side: str) -> None:
    """Never a shortened answer. The request after it is none the worse."""
    await house.worker()
    await house.open_bridge(NATS_MLX_BRIDGE_IDLE_TIMEOUT="10")
    wire = house.wires[side]
    async with aiohttp.ClientSession(house.bridge_url) as session:
        said, end = await _stream(session, 100, lambda: _blink(wire))
        whole = [str(number) for number in range(1, 101)]
        if end == "[DONE]":
            assert said == whole
        else:
            assert json.loads(end)["error"]["code"] in ("answer_interrupted", "deadline_exceeded"), end
            assert said == whole[: len(said)] != whole
        said, end = await _stream(session, 3, None)
        assert (said, end) == (["1", "2", "3"], "[DONE]")


async def _blink(wire: Proxy) -> None:
    wire.cut()
    await asyncio.sleep(0.3)
    wire.heal()


async def _stream(
    session: aiohttp.ClientSession, pieces: int, halfway: Callable[[], Awaitable[None]] | None
) -> tuple[list[str], str]:
    """The pieces said, and the last frame."""
    body = {"messages": [{"role": "user", "content": f"COUNT {pieces}"}], "stream": True}
    said, last, task = "", "", None
    async with session.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        async for line in response.content:
            frame = line.decode().strip().removeprefix("data: ")
            if not frame:
                continue
            last = frame
            if frame.startswith("{"):
                choices = json.loads(frame).get("choices", [])
                said += "".join(choice["delta"].get("content") or "" for choice in choices)
            if task is None and halfway is not None and len(said.split()) > 20:
                task = asyncio.ensure_future(halfway())
    if task is not None:
        await task
    return said.split(), last
