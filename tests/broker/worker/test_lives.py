"""An article that died and is sent again: it counts on, and what killed workers runs alone at once."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from bridge.client import letters, stored
from bridge.client.gate import Gate
from bridge.client.letters import Letter, Wanted
from schemas import streams
from schemas.articles import MAX_DELIVERIES, DeadLetter
from schemas.completion import Usage
from schemas.errors import NotFound
from tests.broker.cli.conftest import Server
from worker.jobs import ANY_COMPANY, Done, Durations, Job, Prepared, Sampling
from worker.recipes import built_in, parse
from worker.transport import topology
from worker.transport.answers import Answer
from worker.transport.article import Analyst
from worker.transport.ends import Original
from worker.transport.ledger import Ledger
from worker.transport.mover import Mover
from worker.transport.outcomes import Outcomes
from worker.transport.recipes import Loaded

ARTICLE = b'{"title":"t","body":"\xed\x95\x9c"}'
PLACE = "articles.norm.coin.a"
ANSWER = {"summary": "s", "coins": ["BTC"], "sentiment": "neutral", "importance": 1, "confidence": 0.5}


class Pretender:
    """Engine, recipes and answers in one: it computes nothing, and notes the jobs it is given."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def check(self, model: str | None) -> None:
        """It serves every model."""

    async def get(self, what: Any, *_: Any, **__: Any) -> Any:
        if isinstance(what, str):
            return Loaded(what, 1, parse(built_in(what)))
        self.jobs.append(what)
        return Answer(json.dumps(ANSWER), Done("stop", Usage(1, 1, 2), Durations(0, 0, 0)))

    async def head(self, _: Loaded) -> list[int]:
        return []

    async def prepare(self, *_: Any, **__: Any) -> Prepared:
        return Prepared("m", [1], 8, Sampling())


@dataclasses.dataclass
class House:
    """The worker's last steps without its model, and an operator beside it."""

    worker: Client
    operator: Client
    ledger: Ledger
    pull: JetStreamContext.PullSubscription
    engine: Pretender

    async def take(self) -> Msg:
        [msg] = await self.pull.fetch(1, timeout=10)
        return msg

    async def die(self) -> None:
        """Taken and given back until no delivery is left, as if each had cost a worker; then moved to DEAD."""
        for _ in range(streams.MAX_DELIVER):
            await (await self.take()).nak()
        js = self.worker.jetstream()
        mover = Mover(js, {"ARTICLES": Ledger(js, "mover"), "BATCH_LINES": Outcomes(js)})
        died = await self.operator.subscribe("dead.>")
        await self.operator.flush()
        await mover.start()
        with pytest.raises(TimeoutError):
            await self.pull.fetch(1, timeout=0.2)  # the server tells of the last delivery at the next pull
        await died.next_msg(timeout=10)
        await mover.stop()
        await died.unsubscribe()

    async def letter(self) -> tuple[Letter, DeadLetter]:
        found = await letters.find(self.operator, Wanted(), "a")
        assert found.letter is not None
        return found, found.letter

    async def analyse(self, msg: Msg) -> dict[str, Any]:
        pretender: Any = self.engine
        await Analyst(pretender, pretender, pretender, self.ledger, pretender, "mac").handle(msg)
        found = await stored.last(self.operator, "ANALYSES", "analyses.coin.a")
        assert found is not None
        analysis: dict[str, Any] = json.loads(found.data)
        return analysis


@pytest_asyncio.fixture
async def house(server: Server) -> AsyncIterator[House]:
    worker, operator = await server.connect("worker"), await server.connect("operator")
    js = worker.jetstream()
    await topology.ensure(js)
    lane = streams.LANE_CONSUMERS["norm"]
    pull = await js.pull_subscribe_bind(lane.durable_name, lane.stream)
    yield House(worker, operator, Ledger(js, "mac"), pull, Pretender())
    await worker.close()
    await operator.close()
    assert server.denied == []


async def test_what_killed_its_workers_counts_on_and_runs_alone_at_once(house: House) -> None:
    first = await house.operator.jetstream().publish(PLACE, ARTICLE)
    stamp = (await house.operator.jetstream().get_msg("ARTICLES", first.seq)).time
    await house.die()
    found, letter = await house.letter()
    assert (letter.reason, letter.attempts, letter.first_published) == (MAX_DELIVERIES, 8, stamp)
    assert letter.failed_at > stamp  # type: ignore[operator]
    assert await letters.retry(house.operator, found, Gate(print)) == "sent again"
    await house.die()
    found, letter = await house.letter()
    assert (letter.attempts, letter.first_published, found.payload) == (16, stamp, ARTICLE)
    assert letter.sequence > first.seq
    assert await letters.retry(house.operator, found, Gate(print)) == "sent again"
    again = await house.take()
    assert (again.data, again.metadata.num_delivered) == (ARTICLE, 1)
    assert (await house.analyse(again))["attempts"] == 17
    assert [job.company for job in house.engine.jobs] == [1]


async def test_what_failed_otherwise_counts_on_in_any_company(house: House) -> None:
    js = house.operator.jetstream()
    await js.publish(PLACE, ARTICLE, headers={"Llm-Replace": "true"})
    await (await house.take()).nak()
    msg = await house.take()
    await house.ledger.bury(Original.of(msg), NotFound("no", code="unknown_recipe"))
    await house.ledger.settle(msg)
    found, letter = await house.letter()
    assert (letter.attempts, letter.replace) == (2, True)
    assert await letters.retry(house.operator, found, Gate(print)) == "sent again"
    again = await house.take()
    assert again.headers is not None and again.headers["Llm-Replace"] == "true"  # the wish survives its death
    assert (await house.analyse(again))["attempts"] == 3
    assert [job.company for job in house.engine.jobs] == [ANY_COMPANY]
    state = (await js.stream_info("ARTICLES")).state
    assert state.messages == 0


async def test_headers_that_say_nonsense_count_as_none(house: House) -> None:
    headers = {"Llm-Earlier-Attempts": "-1e9", "Llm-Earlier-Reason": "%ff", "Llm-First-Published": "noon"}
    await house.operator.jetstream().publish(PLACE, ARTICLE, headers=headers)
    async with asyncio.timeout(10):
        assert (await house.analyse(await house.take()))["attempts"] == 1
    assert [job.company for job in house.engine.jobs] == [ANY_COMPANY]
