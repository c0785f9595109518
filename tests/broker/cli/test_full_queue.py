"""A publisher whose articles do not get through: it waits and says so, loses and doubles nothing, and may give up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nats.js.errors import APIError

from bridge.client import Client, gate, stored
from bridge.publication import Line, Publication
from bridge.up.programs import find_conf
from schemas import streams
from schemas.runtime.connection import connect
from tests.broker.cli.conftest import serving
from tests.broker.cli.publishing import PLAIN, Report, article, lines, run
from worker.transport import topology

if TYPE_CHECKING:
    from conftest import Mover


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(stored, "_TIMEOUT", 2.0)  # of what was under way when the server died


async def limit(operator: Client, stream: str = "ARTICLES", **limits: int) -> None:
    js = operator.jetstream()
    config = (await js.stream_info(stream)).config
    for name, value in limits.items():
        setattr(config, name, value)
    await js.update_stream(config)


async def queued(operator: Client) -> list[str]:
    info = await operator.jetstream().stream_info("ARTICLES", subjects_filter=">")
    return sorted(subject.rpartition(".")[2] for subject in info.state.subjects or {})


class Pipe:
    """Lines that count how far they were read; after them, silence or an end."""

    def __init__(self, count: int, ends: bool = True) -> None:
        self.read = 0
        self._count = count
        self._ends = ends

    async def lines(self) -> AsyncGenerator[list[Line]]:
        for number in range(1, self._count + 1):
            self.read = number
            yield [Line(f"f:{number}", article(f"n{number}", body="b" * 1000))]
        if not self._ends:
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"max_msgs": 5}, "maximum messages exceeded"), ({"max_bytes": 6000}, "maximum bytes exceeded")],
    ids=["messages", "bytes"],
)
async def test_a_full_queue_is_waited_for_and_told_once(
    mover: Mover, publisher: Client, operator: Client, limits: dict[str, int], reason: str
) -> None:
    await limit(operator, **limits)
    pipe, report = Pipe(80), Report()
    publication = Publication(publisher, PLAIN, report)
    work = asyncio.create_task(publication.publish(pipe.lines()))
    async with asyncio.timeout(30):
        await report.first_wait.wait()
        async with mover.at_work():
            await work
            while await queued(operator):
                await operator.flush()
    assert report.waits == [f"the queue is full ({reason}); waiting"]
    assert (publication.tally.published, publication.tally.waited) == (80, 0)
    assert sorted(mover.taken) == sorted(f"articles.norm.coin.n{n}" for n in range(1, 81))


async def test_a_server_without_storage_is_waited_for(tmp_path: Path) -> None:
    conf = tmp_path / "small.conf"
    conf.write_text(re.sub(r"max_file_store: \w+", "max_file_store: 1MB", find_conf().read_text()))
    with serving(tmp_path, conf) as server:
        worker, publisher = await server.connect("worker"), await server.connect("publisher")
        operator = await server.connect("operator")
        await topology.ensure(worker.jetstream())
        big = [article(f"n{n}", body="b" * 400_000) for n in range(5)]
        report = Report()
        publication = Publication(publisher, PLAIN, report)
        work = asyncio.create_task(publication.publish(lines(*big)))
        async with asyncio.timeout(30):
            await report.first_wait.wait()
            while not work.done():
                await operator.jetstream().purge_stream("ARTICLES")
            await work
        assert report.waits[0] == "the queue is full (insufficient resources); waiting"
        assert publication.tally.published == 5
        for nc in (worker, publisher, operator):
            await nc.close()


async def test_whatever_others_fill_leaves_room_for_analyses(tmp_path: Path) -> None:
    """Articles, files, lines of batches and kept responses, all at once; of the last the oldest go."""
    conf = tmp_path / "small.conf"
    conf.write_text(re.sub(r"max_file_store: \w+", "max_file_store: 128MB", find_conf().read_text()))
    with serving(tmp_path, conf) as server:
        worker, operator = await server.connect("worker"), await server.connect("operator")
        await topology.ensure(worker.jetstream())
        js = operator.jetstream(timeout=10)

        async def fill(subject: str) -> None:
            for number in range(128):
                await js.publish(f"{subject}.n{number}", b"b" * 700_000)

        for subject in ("articles.norm.coin", "$O.llm_files.C", "batches.b"):
            with pytest.raises(APIError, match="maximum bytes exceeded"):
                await fill(subject)
        await fill("$KV.llm_responses")
        assert (await js.get_last_msg("KV_llm_responses", "$KV.llm_responses.n127")).data
        for number in range(8):
            await worker.jetstream().publish(f"analyses.coin.n{number}", b"b" * 700_000)
        for nc in (worker, operator):
            await nc.close()


@pytest.mark.parametrize("name", streams.MOST_BYTES)
async def test_one_of_an_older_version_gets_its_limit_and_one_of_the_operators_stays(
    mover: Mover, operator: Client, name: str
) -> None:
    js = mover.nc.jetstream()
    for before, after in ((-1, streams.MOST_BYTES[name]), (300 * 1024**2, 300 * 1024**2)):
        await limit(operator, name, max_bytes=before)
        await topology.ensure(js)
        assert (await js.stream_info(name)).config.max_bytes == after


async def test_a_killed_server_is_waited_for(tmp_path: Path) -> None:
    """With its files it comes back; what was sent twice is stored once."""
    report = Report()
    with serving(tmp_path) as server:
        worker = await server.connect("worker")
        await topology.ensure(worker.jetstream())
        await worker.close()
        password = server.credentials.password("publisher")
        publisher = await connect(server.url, "publisher", password, name="test", wait=False)
        publication = Publication(publisher, PLAIN, report)

        async def some() -> AsyncGenerator[list[Line]]:
            for number in range(100):
                if number == 50:
                    server.process.kill()
                yield [Line(f"f:{number}", article(f"n{number}"))]

        work = asyncio.create_task(publication.publish(some()))
        async with asyncio.timeout(20):
            await report.first_wait.wait()
    with serving(tmp_path, port=int(server.url.rpartition(":")[2])) as again:
        async with asyncio.timeout(30):
            await work
        operator = await again.connect("operator")
        assert len(await queued(operator)) == 100
        await operator.close()
        await publisher.close()
    assert report.waits == ["there is no connection to NATS; waiting"]
    assert (publication.tally.published, publication.tally.waited) == (100, 0)


@pytest.mark.parametrize("ends", [True, False], ids=["file", "silent pipe"])
async def test_who_gives_up_says_what_was_not_sent(
    mover: Mover, publisher: Client, operator: Client, ends: bool
) -> None:
    await limit(operator, max_msgs=5)
    pipe, report = Pipe(100 if ends else 30, ends), Report()
    publication = Publication(publisher, PLAIN, report, give_up=0.3)
    async with asyncio.timeout(20):
        await publication.publish(pipe.lines())
    stored = {f"f:{key[1:]}" for key in await queued(operator)}
    assert (len(stored), publication.tally.published) == (5, 5)
    assert pipe.read <= 5 + 32 + 1  # what finds no room is not even read
    assert stored | set(report.left) == {f"f:{n}" for n in range(1, pipe.read + 1)}
    assert not stored & set(report.left)
    assert report.rest == f"f:{pipe.read}"
    assert publication.tally.failed
    assert report.end is not None and report.end.message.startswith("Gave up after 0.3 s: the queue is full")


async def test_who_waits_for_outcomes_in_vain_gives_up_too(mover: Mover, publisher: Client) -> None:
    report = Report()
    publication = Publication(publisher, PLAIN, report, give_up=0.3)
    async with asyncio.timeout(20):
        await publication.publish_and_wait(lines(article("a"), article("b")))
    tally = publication.tally
    assert (tally.published, tally.open, tally.unsent, tally.failed) == (2, 2, 0, True)
    assert report.end is not None and report.end.message == "Gave up after 0.3 s: no outcome came."


async def test_what_was_analysed_before_is_counted_apart(moving: Mover, publisher: Client) -> None:
    await run(publisher, article("a"))
    tally, report = await run(publisher, article("a"), article("b"))
    assert (tally.done, tally.before) == (2, 1)
    assert {outcome.id: outcome.before for outcome in report.outcomes} == {"a": True, "b": False}
