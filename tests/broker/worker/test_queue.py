"""What the queue takes: no more than there is room for, suspects by themselves, and nothing is left lying about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import streams
from tests.broker.cli.conftest import Server
from worker.transport import queue, topology
from worker.transport.queue import Queue

SLOTS = 3


@dataclass
class Desk:
    """Holds what it is given until it is told to let go."""

    worker: Client
    operator: Client
    queue: Queue = field(init=False)
    held: dict[str, Msg] = field(default_factory=dict)
    most: int = 0
    order: list[str] = field(default_factory=list)
    looks: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.queue = self.new_queue()

    def new_queue(self, slots: int = SLOTS, *, careful: bool = False) -> Queue:
        handlers = {streams.ARTICLES.name: self.handle, streams.BATCH_LINES.name: self.handle}
        queue = Queue(self.worker, self.worker.jetstream(), slots, handlers, careful=careful)
        look = queue._puller._step

        async def counted() -> None:
            try:
                await look()
            finally:
                self.looks += 1
                self.changed.set()

        queue._puller._step = counted
        return queue

    async def another_look(self) -> None:
        """The queue has looked once more from beginning to end: what it would fetch it has fetched."""
        wanted = self.looks + 2  # one is under way
        async with asyncio.timeout(10):
            while self.looks < wanted:
                self.changed.clear()
                await self.changed.wait()

    async def handle(self, msg: Msg) -> None:
        name = msg.subject.rpartition(".")[2]
        self.order.append(name)
        self.held[name] = msg
        self.most = max(self.most, len(self.held))
        self.changed.set()
        await self.open.wait()
        await msg.ack_sync()
        del self.held[name]
        self.changed.set()

    async def until(self, *names: str) -> None:
        """It holds just these."""
        async with asyncio.timeout(10):
            while set(self.held) != set(names):
                self.changed.clear()
                await self.changed.wait()

    async def all_done(self, *names: str) -> None:
        """In this order."""
        self.open.set()
        async with asyncio.timeout(10):
            while len(self.order) < len(names) or self.held:
                self.changed.clear()
                await self.changed.wait()
        assert self.order == [*names]

    async def publish(self, *names: str, lane: str = "norm") -> None:
        for name in names:
            await self.operator.jetstream().publish(f"articles.{lane}.coin.{name}", b"{}")

    async def refuse(self, lane: str, times: int) -> None:
        """The head of the lane is delivered and given back so often."""
        consumer = streams.LANE_CONSUMERS["norm" if lane == "norm" else "high"]
        pull = await self.operator.jetstream().pull_subscribe_bind(consumer.durable_name, consumer.stream)
        for _ in range(times):
            (msg,) = await pull.fetch(1)
            await msg.nak()
        await pull.unsubscribe()
        await self.operator.flush()

    async def in_flight(self) -> int:
        info = await self.operator.jetstream().consumer_info(streams.ARTICLES.name, "articles-norm")
        return info.num_ack_pending or 0


@pytest_asyncio.fixture
async def desk(server: Server) -> AsyncIterator[Desk]:
    worker, operator = await server.connect("worker"), await server.connect("operator")
    await topology.ensure(worker.jetstream())
    desk = Desk(worker, operator)
    yield desk
    await desk.queue.stop(0)
    await worker.close()
    await operator.close()
    assert server.denied == []


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes longer than 20 ms to answer would be passed over, and the order another one."""
    monkeypatch.setattr(queue, "_WAIT", 0.2)


async def test_no_more_is_fetched_than_there_is_room_for(desk: Desk) -> None:
    names = [f"a{number}" for number in range(10)]
    await desk.publish(*names)
    await desk.queue.start()
    await desk.until(*names[:SLOTS])
    await desk.another_look()
    assert await desk.in_flight() == SLOTS
    await desk.all_done(*names)
    assert desk.most == SLOTS


async def test_high_comes_first(desk: Desk, patient: None) -> None:
    await desk.publish("a", "b", "c")
    await desk.publish("x", "y", lane="high")
    await desk.queue.start()
    await desk.until("x", "y", "a")


async def test_articles_and_lines_take_turns(desk: Desk, patient: None) -> None:
    """Whoever sent more does not keep the others waiting."""
    for number in range(4):
        await desk.operator.jetstream().publish(f"batches.b.{number}", b"{}")
    await desk.publish("a", "b", "c", "d")
    desk.queue = desk.new_queue(1)
    await desk.queue.start()
    desk.open.set()
    async with asyncio.timeout(10):
        while len(desk.order) < 8:
            desk.changed.clear()
            await desk.changed.wait()
    kinds = [name.isdigit() for name in desk.order]
    assert kinds in ([True, False] * 4, [False, True] * 4)


async def test_equal_places_on_two_queues_are_two_messages(desk: Desk) -> None:
    await desk.operator.jetstream().publish("batches.b.1", b"{}")
    await desk.publish("a")
    await desk.queue.start()
    await desk.until("1", "a")
    await desk.all_done(*desk.order)


async def test_one_that_must_be_alone_is_all_that_a_worker_holds(desk: Desk) -> None:
    """Whoever is held when it kills has used up a delivery."""
    await desk.publish("suspect")
    await desk.refuse("norm", 2)
    await desk.publish("a", "b", "c")
    await desk.queue.start()
    await desk.until("suspect")
    await desk.another_look()
    assert list(desk.held) == ["suspect"]
    assert await desk.in_flight() == 1
    await desk.all_done("suspect", "a", "b", "c")


async def test_a_second_delivery_has_company(desk: Desk) -> None:
    await desk.publish("again")
    await desk.refuse("norm", 1)
    await desk.publish("a", "b")
    await desk.queue.start()
    await desk.until("again", "a", "b")


async def test_no_more_is_held_than_the_company_of_a_second_delivery(desk: Desk) -> None:
    """The others would only wait for its end, and lose a delivery if it kills."""
    names = [f"a{number}" for number in range(9)]
    await desk.publish("again")
    await desk.refuse("norm", 1)
    await desk.publish(*names)
    desk.queue = desk.new_queue(10)
    await desk.queue.start()
    await desk.until("again", *names[:3])
    await desk.another_look()
    assert await desk.in_flight() == 4
    await desk.all_done("again", *names)


async def test_who_is_careful_begins_small_and_widens_with_each_end(desk: Desk) -> None:
    names = [f"a{number}" for number in range(20)]
    await desk.publish(*names)
    desk.queue = desk.new_queue(10, careful=True)
    await desk.queue.start()
    await desk.until(*names[:4])
    await desk.another_look()
    assert await desk.in_flight() == 4
    await desk.all_done(*names)
    assert 4 < desk.most <= 10


async def test_what_comes_after_its_fetch_is_taken_all_the_same(desk: Desk) -> None:
    """A pull that outlives its fetch, as one does over a slow network: nobody else would say that it is in work."""
    names = [f"a{number}" for number in range(SLOTS)]
    await desk.publish(*names)
    await desk.queue.start()
    await desk.until(*names)
    await _open_pull(desk)
    await desk.publish("late")
    await desk.until(*names, "late")


async def test_what_comes_at_the_end_is_given_back_at_once(desk: Desk) -> None:
    names = [f"a{number}" for number in range(SLOTS)]
    await desk.publish(*names)
    await desk.queue.start()
    await desk.until(*names)
    await _open_pull(desk)
    await desk.publish("late")
    while await desk.in_flight() <= SLOTS:
        await asyncio.sleep(0)
    await desk.queue.stop(0)
    desk.queue = desk.new_queue(SLOTS + 1)
    desk.held.clear()
    await desk.queue.start()
    await desk.until(*names, "late")
    assert {msg.metadata.num_delivered for msg in desk.held.values()} == {2}


async def test_work_that_missed_its_end_is_given_back_as_well(desk: Desk) -> None:
    """A handler that gets the server's answer in the same moment: see schemas/runtime/tasks.py."""

    async def deaf(msg: Msg) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await desk.handle(msg)
        await asyncio.Event().wait()

    desk.queue = Queue(desk.worker, desk.worker.jetstream(), SLOTS, {streams.ARTICLES.name: deaf})
    await desk.publish("a")
    await desk.queue.start()
    await desk.until("a")
    async with asyncio.timeout(10):
        await desk.queue.stop(0)
    desk.queue = desk.new_queue()
    desk.held.clear()
    await desk.queue.start()
    await desk.until("a")
    assert desk.held["a"].metadata.num_delivered == 2


async def test_one_that_comes_again_while_it_is_held_is_not_handled_twice(desk: Desk) -> None:
    await desk.publish("a")
    await desk.queue.start()
    await desk.until("a")
    await desk.operator.publish(desk.held["a"].reply, b"-NAK")  # as if the ack wait had passed
    await desk.publish("b")
    await desk.until("a", "b")
    await desk.another_look()
    await desk.all_done("a", "b")
    assert await desk.in_flight() == 0


async def _open_pull(desk: Desk) -> None:
    """One more on the inbox of the queue's own."""
    inbox = desk.queue._pulls["articles-norm"]._deliver
    await desk.worker.publish("$JS.API.CONSUMER.MSG.NEXT.ARTICLES.articles-norm", b'{"batch":1}', reply=inbox)
    await desk.worker.flush()
