"""The promise under everything at once: each accepted article ends as exactly one analysis or one dead letter."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.chaos.conftest import option
from tests.chaos.ends import computed, ends, settled
from tests.chaos.faults import Chaos, plan
from tests.chaos.house import House
from tests.chaos.load import Publisher
from tests.chaos.talk import Talk

MEAN_PAUSE = 1.15


def test_a_seed_is_a_plan() -> None:
    assert list(plan(7, 40)) == list(plan(7, 40)) != list(plan(8, 40))


async def test_every_article_ends_once_whatever_happens(house: House, seed: int) -> None:
    """About a minute of it; see the long one."""
    await _storm(house, seed, articles=400, faults=25, poisons=1)


@pytest.mark.timeout(3600)
async def test_two_thousand_articles_under_two_hundred_faults(
    house: House, seed: int, request: pytest.FixtureRequest
) -> None:
    if not option(request.config, "--long"):
        pytest.skip("by hand: --long")
    await _storm(house, seed, articles=2000, faults=200, poisons=3)


async def _storm(house: House, seed: int, articles: int, faults: int, poisons: int) -> None:
    await asyncio.gather(house.worker(), house.worker())
    await house.open_bridge(NATS_MLX_BRIDGE_IDLE_TIMEOUT="5", NATS_MLX_BRIDGE_REQUEST_TIMEOUT="10")
    publisher = Publisher(await house.connect("publisher", await house.wire("publisher")))
    chaos, talk, over = Chaos(house), Talk(house.bridge_url), asyncio.Event()
    ids = [f"a{number}" for number in range(articles)]
    guilty = [f"poison{number}" for number in range(poisons)]
    started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(talk.go_on(over))
        publishing = tasks.create_task(publisher.send_all(ids, every=0.9 * MEAN_PAUSE * faults / articles))
        for id in guilty:
            await publisher.send(id, f"POISON {id}")
        await chaos.run(plan(seed, faults))
        await publishing
        over.set()
    operator = await house.connect("operator")
    await settled(operator, within=120 + 30 * poisons)
    found = await ends(operator)
    attempts = [int(str(one["attempts"])) for one in found.analyses.values()]
    print(
        f"seed {seed}: {len(publisher.accepted)} articles, {sum(chaos.done.values())} faults {chaos.done}, "
        f"{len(found.analyses)} analyses, {len(found.dead)} dead of {poisons} poisoned, "
        f"{computed(house.trace)} computed, at most {max(attempts)} deliveries of one that lived; "
        f"chats: {talk.whole} whole, {len(talk.errors)} errors, {len(talk.silent)} silent; "
        f"{time.monotonic() - started:.0f} s"
    )
    assert found.faults(publisher.accepted, guilty) == []
    assert talk.silent == []
    assert chaos.ended_badly == []
