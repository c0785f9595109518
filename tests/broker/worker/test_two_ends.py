"""A worker that slept between its last look and its writing: what another did meanwhile stays an article's one end."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast
from unittest.mock import patch

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext

from bridge.client import stored
from schemas import streams
from schemas.articles import Analysis, ArticleRef, DeadLetter, Timings
from schemas.completion import Usage
from schemas.errors import BadRequest
from tests.broker.cli.conftest import Server
from worker.transport import topology
from worker.transport.ends import Original
from worker.transport.ledger import Ledger
from worker.transport.mover import Mover

PLACE = "articles.norm.coin.a"
ANALYSIS = Analysis(
    id="a",
    recipe="coin",
    recipe_version="1",
    article=ArticleRef("t", None, None, None),
    model="m",
    result={},
    usage=Usage(1, 1, 2),
    timings=Timings(0, 0, 0, 0),
    attempts=1,
    worker="w",
    finished_at=dt.datetime.now(dt.UTC),
)


class Sleeper:
    """JetStream as somebody has it who sleeps before a write, while something else happens."""

    def __init__(self, js: JetStreamContext, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._js = js
        self._meanwhile = [meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._js, name)

    async def publish(self, *args: Any, **kwargs: Any) -> object:
        if self._meanwhile:
            await self._meanwhile.pop()()
        return await self._js.publish(*args, **kwargs)


@dataclasses.dataclass
class House:
    """Its ledger is that of who is awake."""

    js: JetStreamContext
    ledger: Ledger
    operator: Client
    pull: JetStreamContext.PullSubscription

    async def take(self, **headers: str) -> Msg:
        await self.operator.jetstream().publish(PLACE, b"{}", headers=headers or None)
        [msg] = await self.pull.fetch(1, timeout=10)
        return msg

    def sleeper(self, meanwhile: Callable[[], Awaitable[object]]) -> Ledger:
        return Ledger(cast(JetStreamContext, Sleeper(self.js, meanwhile)), "sleeper")

    async def analyse(self, msg: Msg, ledger: Ledger | None = None, *, replace: bool = False) -> None:
        ledger = ledger or self.ledger
        await ledger.analysis(msg, "a", ANALYSIS, replace=replace)
        await ledger.settle(msg)

    async def fail(self, msg: Msg, ledger: Ledger | None = None) -> None:
        ledger = ledger or self.ledger
        await ledger.bury(Original.of(msg), BadRequest("no"))
        await ledger.settle(msg)

    async def move(self, ledger: Ledger | None = None) -> None:
        """As the mover does once it hears that the deliveries are used up."""
        found = await self.js.get_msg(streams.ARTICLES.name, 1, subject=PLACE, next=True)
        await Mover(self.js, {"ARTICLES": ledger or self.ledger})._move("ARTICLES", found, 8)

    async def ends(self) -> tuple[int, int, int]:
        """Analyses, letters, and articles that wait."""
        infos = [
            await stored.api(self.operator, f"STREAM.INFO.{one.name}")
            for one in (streams.ANALYSES, streams.DEAD, streams.ARTICLES)
        ]
        analyses, letters, waiting = (info["state"]["messages"] for info in infos)
        return analyses, letters, waiting


@pytest_asyncio.fixture
async def house(server: Server) -> AsyncIterator[House]:
    worker, operator = await server.connect("worker"), await server.connect("operator")
    js = worker.jetstream()
    await topology.ensure(js)
    lane = streams.LANE_CONSUMERS["norm"]
    yield House(js, Ledger(js, "mac"), operator, await js.pull_subscribe_bind(lane.durable_name, lane.stream))
    for nc in (worker, operator):
        await nc.close()
    assert server.denied == []


async def test_an_analysis_takes_back_the_letter_of_its_article(house: House) -> None:
    msg = await house.take()
    await house.analyse(msg, house.sleeper(house.move))
    assert await house.ends() == (1, 0, 0)


async def test_a_mover_takes_its_letter_back(house: House) -> None:
    msg = await house.take()
    await house.move(house.sleeper(lambda: house.analyse(msg)))
    assert await house.ends() == (1, 0, 0)


async def test_a_worker_takes_its_letter_back(house: House) -> None:
    msg = await house.take()
    await house.fail(msg, house.sleeper(lambda: house.analyse(msg)))
    assert await house.ends() == (1, 0, 0)


async def test_who_dies_before_taking_a_letter_back_leaves_it_to_the_mover(house: House) -> None:
    msg = await house.take()
    await house.ledger.bury(Original.of(msg), BadRequest("no"))
    await house.operator.jetstream().publish("analyses.coin.a", b"{}")
    await house.move()
    assert await house.ends() == (1, 0, 0)


async def test_the_letter_of_another_life_stays(house: House) -> None:
    """The article was sent again: that letter is the business of who sent it."""
    await house.fail(await house.take())
    await house.analyse(await house.take())
    assert await house.ends() == (1, 1, 0)


@pytest.mark.parametrize("by", ["worker", "mover"])
async def test_an_earlier_analysis_is_no_end_of_one_that_is_to_replace_it(house: House, by: str) -> None:
    await house.analyse(await house.take())
    msg = await house.take(**{"Llm-Replace": "true"})
    await (house.fail(msg) if by == "worker" else house.move())
    assert await house.ends() == (1, 1, 0)
    letter = await stored.last(house.operator, streams.DEAD.name, "dead.ARTICLES.coin.a")
    assert letter is not None and DeadLetter.from_headers(letter.headers).replace


async def test_a_replacement_is_made_once(house: House) -> None:
    """It comes again when its acknowledgement is lost, as any article does."""
    await house.analyse(await house.take())
    msg = await house.take(**{"Llm-Replace": "true"})
    assert not await house.ledger.answered(Original.of(msg))
    await house.ledger.analysis(msg, "a", ANALYSIS, replace=True)
    assert await house.ledger.answered(Original.of(msg))


async def test_one_that_slept_through_a_failed_write_looks_again(house: House) -> None:
    """The server was away when it wrote, and what it had to say is told by another when it comes back."""
    msg = await house.take()

    async def away() -> None:
        await house.analyse(msg)
        raise NatsTimeout

    await house.fail(msg, house.sleeper(away))
    assert await house.ends() == (1, 0, 0)


async def test_a_server_that_is_away_at_the_look_costs_nobody_an_answer(house: House) -> None:
    msg, look, away = await house.take(), house.js.get_msg, [NatsTimeout(), NoRespondersError()]

    async def get_msg(*args: Any, **kwargs: Any) -> object:
        if away:
            raise away.pop()
        return await look(*args, **kwargs)

    with patch.object(house.js, "get_msg", get_msg):
        await house.analyse(msg)
    assert await house.ends() == (1, 0, 0)


async def test_a_write_that_came_through_late_counts_as_well(house: House) -> None:
    """Its sender had given it up, and finds the article gone when it looks again."""
    msg = await house.take()

    async def late() -> None:
        await house.move()
        await house.operator.jetstream().publish("analyses.coin.a", b"{}")
        raise NatsTimeout

    await house.analyse(msg, house.sleeper(late))
    assert await house.ends() == (1, 0, 0)
