"""How a worker ends when it is told: in order, in time, and never in silence."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from bridge.client import stored
from schemas import streams, subjects
from schemas.runtime.loop import CANNOT_RUN
from tests.chaos.ends import ends, held, settled
from tests.chaos.house import House
from tests.chaos.load import Publisher
from tests.until import holds

GRACE = 2.0  # what the house gives its workers
SLACK = 8.0  # without a server it took 17 and 35 seconds once


async def test_what_is_nearly_done_is_finished_and_the_rest_given_back_at_once(house: House) -> None:
    worker = await house.worker(
        NATS_MLX_WORKER_SLOTS="4", NATS_MLX_WORKER_SHUTDOWN_GRACE="4", CHAOS_ACK_WAIT="30"
    )
    operator = await house.connect("operator")
    publisher = Publisher(await house.connect("publisher"))
    await publisher.send("long", "STUCK worker-1")
    for number in range(3):
        await publisher.send(f"short{number}", f"SLOW 2.{number}")
    await held(operator, 4)
    started = time.monotonic()
    assert await worker.stop() == 0
    assert time.monotonic() - started < 4 + SLACK
    assert set((await ends(operator)).analyses) == {"short0", "short1", "short2"}
    # The other does not have to wait until the first's time would have been up.
    await house.worker(CHAOS_ACK_WAIT="30")
    await settled(operator, within=15)
    found = await ends(operator)
    assert found.faults(publisher.accepted) == []
    assert found.analyses["long"]["attempts"] == 2


async def test_it_ends_in_time_while_its_server_is_away(house: House) -> None:
    worker = await house.worker()
    publisher = Publisher(await house.connect("publisher"))
    await publisher.send("a", "STUCK worker-1")
    await held(await house.connect("operator"), 1)
    await house.server.stop(signal.SIGKILL)
    await worker.said("nats_disconnected")
    started = time.monotonic()
    assert await worker.stop() == 0, worker.tail()
    assert time.monotonic() - started < GRACE + SLACK


async def test_it_ends_in_time_while_its_network_is_dark(house: House) -> None:
    """Nobody has told it: it believes to be connected."""
    worker = await house.worker()
    publisher = Publisher(await house.connect("publisher"))
    await publisher.send("a", "STUCK worker-1")
    await held(await house.connect("operator"), 1)
    house.wires[worker.name].cut()
    started = time.monotonic()
    assert await worker.stop() == 0, worker.tail()
    assert time.monotonic() - started < GRACE + SLACK


async def test_it_ends_at_once_while_its_model_loads(house: House) -> None:
    worker = await house.worker(ready=False, CHAOS_LOAD="20")
    await worker.said("stub_loading")
    started = time.monotonic()
    assert await worker.stop() == 0, worker.tail()
    assert time.monotonic() - started < SLACK


async def test_a_second_signal_ends_it_at_once(house: House) -> None:
    worker = await house.worker(NATS_MLX_WORKER_SHUTDOWN_GRACE="60")
    publisher = Publisher(await house.connect("publisher"))
    await publisher.send("a", "STUCK worker-1")
    await held(await house.connect("operator"), 1)
    worker.signal(signal.SIGTERM)
    await worker.said("worker_stopping")
    started = time.monotonic()
    assert await worker.stop() == 130
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("stream", [True, False])
async def test_a_chat_in_progress_gets_an_error_as_its_end(house: House, stream: bool) -> None:
    worker = await house.worker(NATS_MLX_WORKER_SHUTDOWN_GRACE="0.5")
    nc = await house.connect("publisher")
    heard = await _ask(nc, "COUNT 600", stream=stream)
    if stream:
        await heard.get()  # it has begun
    else:
        await nc.flush()
    assert await worker.stop() == 0
    last = await _last(heard, stream)
    assert last.headers[subjects.ERROR_CODE] == "503"
    assert "shutting down" in last.headers[subjects.ERROR]


async def test_a_rolling_restart_leaves_no_chat_without_an_answer(house: House) -> None:
    """Requests come all the time, also in the moment when a worker takes itself off its subjects."""
    workers = [await house.worker(), await house.worker()]
    nc = await house.connect("publisher")
    asked: list[asyncio.Task[Msg]] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            body = json.dumps({"messages": [{"role": "user", "content": f"Hello {len(asked)}"}]}).encode()
            asked.append(asyncio.create_task(nc.request(subjects.CHAT, body, timeout=20)))
            await asyncio.sleep(0.002)

    asking = asyncio.create_task(ask())
    for worker in workers * 2:
        later = len(asked) + 50
        await holds(lambda later=later: len(asked) > later)
        await asked[later]
        assert await worker.stop() == 0
        times = worker.count("worker_ready")
        worker.start()
        await worker.said("worker_ready", times + 1)
    over.set()
    await asking
    answers = [await answer for answer in asked]  # raises where there was none
    refused = [answer.headers or {} for answer in answers if b"choices" not in answer.data]
    assert len(answers) > 200
    assert all(headers.get(subjects.ERROR_CODE) == "503" for headers in refused), refused[:3]


async def _ask(nc: Client, text: str, *, stream: bool) -> asyncio.Queue[Msg]:
    """What comes to the inbox of one request."""
    heard: asyncio.Queue[Msg] = asyncio.Queue()

    async def hear(msg: Msg) -> None:
        heard.put_nowait(msg)

    inbox = await nc.subscribe(nc.new_inbox(), cb=hear)
    body = {"messages": [{"role": "user", "content": text}], "stream": stream}
    await nc.publish(subjects.CHAT, json.dumps(body).encode(), reply=inbox.subject)
    return heard


async def _last(heard: asyncio.Queue[Msg], stream: bool) -> Msg:
    while True:
        msg = await asyncio.wait_for(heard.get(), 10)
        if not stream or not msg.data:
            return msg


async def test_the_bridge_ends_in_time_while_its_server_is_away(house: House) -> None:
    bridge = await house.open_bridge()
    await house.server.stop(signal.SIGKILL)
    await bridge.said("nats_disconnected")
    started = time.monotonic()
    assert await bridge.stop() == 0, bridge.tail()
    assert time.monotonic() - started < SLACK


async def test_a_house_of_a_newer_version_is_refused_for_good(house: House) -> None:
    """With an exit code of its own: who keeps it running must not try again for ever."""
    worker = await house.worker()
    await worker.stop()
    operator = await house.connect("operator")
    info = await stored.api(operator, "STREAM.INFO.DEAD")
    newer = info["config"] | {"metadata": {streams.LAYOUT_KEY: str(streams.LAYOUT + 1)}}
    await operator.request("$JS.API.STREAM.UPDATE.DEAD", json.dumps(newer).encode())
    worker.start()
    await worker.said("is of a newer nats-mlx")
    assert await worker.over() == CANNOT_RUN
