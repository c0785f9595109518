"""The server dies, or has no room: what it has acknowledged stays, what it refuses is said and tried again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from bridge.client import stored
from bridge.up.programs import find_conf
from schemas import streams
from tests import disks
from tests.chaos.conftest import option
from tests.chaos.ends import ends, settled
from tests.chaos.house import House, opened
from tests.chaos.load import Publisher, article
from tests.until import holds

KILLS = 20
WAIT = 0.5


async def test_no_acknowledged_article_is_lost_when_the_server_is_killed(house: House) -> None:
    """Twenty times in the middle of publishing as fast as it goes, and no try is made twice."""
    worker = await house.worker()
    await worker.stop()
    house.server.pause = 0.0
    nc, operator = await house.connect("publisher"), await house.connect("operator")
    acknowledged: set[str] = set()
    over = asyncio.Event()

    async def publish(lane: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            id = f"a{lane}-{number}"
            try:
                ack = await nc.jetstream().publish(f"articles.norm.coin.{id}", article(id), timeout=0.5)
            except (NatsError, TimeoutError):
                await asyncio.sleep(0.01)
            else:
                assert ack.seq
                acknowledged.add(id)

    async with asyncio.TaskGroup() as tasks:
        for lane in range(16):
            tasks.create_task(publish(lane))
        for kill in range(1, KILLS + 1):
            enough = len(acknowledged) + 50
            await holds(lambda enough=enough: len(acknowledged) >= enough)
            house.server.kill()
            await house.server.said("Server is ready", kill + 1)
        over.set()
    found = {
        message.subject.split(".")[-1]
        async for message in stored.read(operator, streams.ARTICLES.name, "articles.>")
    }
    print(f"\n{KILLS} kills, {len(acknowledged)} acknowledged, {len(acknowledged - found)} lost")
    assert acknowledged - found == set()


async def test_a_full_store_is_said_and_waited_for_and_no_delivery_is_wasted(tmp_path: Path) -> None:
    """Full for longer than eight deliveries take: the articles that a worker cannot store do not die of it."""
    conf = tmp_path / "nats.conf"
    text = find_conf().read_text()
    conf.write_text(text.replace("max_file_store: 8GB", "max_file_store: 1MB"))
    async with opened(tmp_path, conf=conf) as house:
        worker = await house.worker(CHAOS_ACK_WAIT=str(WAIT))
        worker.signal(signal.SIGSTOP)  # else it would make room
        publisher = Publisher(await house.connect("publisher"))
        async with asyncio.TaskGroup() as tasks:
            for number in range(12):
                tasks.create_task(publisher.send(f"a{number}", "x" * 100_000))
            await holds(lambda: any("the queue is full" in line for line in publisher.said))
            assert len(publisher.accepted) < 12
            worker.signal(signal.SIGCONT)
            await worker.said("not_stored")
            await asyncio.sleep(streams.MAX_DELIVER * WAIT + 1.5)
            conf.write_text(text)
            house.server.kill()
        operator = await house.connect("operator")
        await settled(operator, within=30)
        found = await ends(operator)
        assert found.faults(publisher.accepted) == []
        assert len(found.analyses) == 12
        assert max(int(str(one["attempts"])) for one in found.analyses.values()) <= 2


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    if not option(request.config, "--long"):
        pytest.skip("by hand: --long, as root")
    with disks.small(tmp_path / "disk") as place:
        yield place


async def test_a_worker_that_finds_no_room_for_its_streams_says_so(tmp_path: Path) -> None:
    with disks.small(tmp_path / "disk") as place:
        async with opened(tmp_path, store=place) as house:
            disks.fill(place)
            worker = await house.worker(ready=False)
            await worker.said("NATS has no room for its streams")


async def test_a_full_disk_is_said_and_over_when_the_server_starts_again_with_room(
    tmp_path: Path, disk: Path
) -> None:
    """nats-server gives up a stream that it could not write, until it is started again."""
    conf = tmp_path / "nats.conf"
    conf.write_text(find_conf().read_text().replace("max_file_store: 8GB", "max_file_store: 1GB"))
    async with opened(tmp_path, conf=conf, store=disk) as house:
        await house.worker()
        publisher = Publisher(await house.connect("publisher"))
        await publisher.send("before")
        ballast = disks.fill(disk)
        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(publisher.send(f"a{number}", "x" * 100_000))
            await holds(lambda: bool(publisher.said), within=40)
            assert "disk" in publisher.said[0]
            ballast.unlink()
            house.server.kill()
        operator = await house.connect("operator")
        await settled(operator, within=60)
        assert (await ends(operator)).faults(publisher.accepted) == []
