"""Batches whose worker, bridge or keeper dies or sleeps in the middle: each line ends once all the same."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
import nats
import pytest
from batching import Api, answer_one, jsonl, let_expire, line, parsed, working
from msgspec.structs import replace
from nats.aio.client import Client

from bridge.batches.keeper import Caretaker
from bridge.batches.watch import Watch
from bridge.client import batches, lines
from bridge.client.batches import Job, Jobs
from bridge.client.gate import Gate
from schemas import streams
from schemas.batches import Batch, Content, KeptBatch, LineResponse
from schemas.codec import decode
from schemas.completion import ChatCompletion
from schemas.errors import Unavailable
from tests.until import holds, seen
from worker.transport import topology
from worker.transport.ledger import Ledger
from worker.transport.mover import Mover
from worker.transport.outcomes import Outcomes

if TYPE_CHECKING:
    from conftest import Start, Work
    from launching import Launch

KEEPER = "bridge.keeper"


async def test_a_line_that_kills_its_workers_is_a_failed_line(
    http: aiohttp.ClientSession, work: Work
) -> None:
    api = Api(http)
    batch = await api.begin((await api.upload(jsonl(line("a"))))["id"])
    await api.until(batch["id"], "in_progress")
    js = work.worker.jetstream()
    pull = await js.pull_subscribe_bind("batch-lines", "BATCH_LINES")
    for _ in range(streams.MAX_DELIVER):
        (msg,) = await pull.fetch(1, timeout=5)
        await msg.nak()
    with pytest.raises(TimeoutError):
        await pull.fetch(1, timeout=0.2)  # the server tells of the last delivery at the next pull
    mover = Mover(js, {"BATCH_LINES": Outcomes(js), "ARTICLES": Ledger(js, "w")})
    await mover.start()
    done = await api.until(batch["id"])
    await mover.stop()
    assert (done["status"], done["request_counts"]) == (
        "completed",
        {"total": 1, "completed": 0, "failed": 1},
    )
    [failed] = parsed(await api.content(done["error_file_id"]))
    assert (failed["response"]["status_code"], failed["error"]) == (500, None)
    assert failed["response"]["body"]["error"]["code"] == "max_deliveries"


async def test_a_bridge_that_is_killed_leaves_its_batch_to_another(
    work: Work, start: Start, launch: Launch, nats_server: str
) -> None:
    """Half of the lines are there when it dies; nothing is done twice, and any bridge gives the same answers."""
    names = [f"c{number}" for number in range(40)]
    bridge = await launch(nats_server)
    url = (await bridge.logged("listening"))["url"]
    await bridge.logged("nats_connected")
    async with aiohttp.ClientSession(url) as doomed:
        api = Api(doomed)
        batch = await api.begin((await api.upload(jsonl(*map(line, names))))["id"])
        await api.until(batch["id"], "in_progress")
    for _ in range(20):
        await answer_one(work.worker)
    bridge.process.kill()
    await bridge.process.wait()
    api = Api(await start())
    async with working(work.worker):
        done = await api.until(batch["id"])
    assert done["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
    output = parsed(await api.content(done["output_file_id"]))
    assert [one["custom_id"] for one in output] == names
    said = [one["response"]["body"]["choices"][0]["message"]["content"] for one in output]
    assert said == ["by hand"] * 20 + ["Quite so."] * 20


async def test_lines_that_are_sent_again_are_not_done_again(work: Work) -> None:
    """A keeper died before it had noted how far it was: its follower begins there anew."""
    name = f"batch_{'1' * 32}"
    bridge = await as_bridge(work)
    gate = Gate(print)
    sent = [lines.Outgoing(number, jsonl(line("x")["body"])) for number in (1, 2)]
    await lines.send(bridge, name, "chat", sent, gate)
    await answer_one(work.worker)
    await lines.send(bridge, name, "chat", sent, gate)
    js = work.operator.jetstream()
    assert (await js.stream_info("BATCH_LINES")).state.messages == 2
    async with working(work.worker):
        await seen(lambda: js.stream_info("BATCH_LINES"), lambda info: info.state.messages == 0)
    found = await lines.results(bridge, name, [1, 2, 3])
    said = {number: decode(LineResponse[ChatCompletion], text).body for number, text in found.items()}
    assert {number: one.choices[0].message.content for number, one in said.items()} == {
        1: "by hand",
        2: "Quite so.",
    }
    await bridge.close()


async def test_a_keeper_that_wakes_too_late_writes_no_files(work: Work, http: aiohttp.ClientSession) -> None:
    """Another one has ended the batch and removed its results: what the sleeper finds now is not what there was."""
    api = Api(http)
    batch = await api.begin((await api.upload(jsonl(line("a"), line("b"))))["id"])
    await api.until(batch["id"], "in_progress")
    await answer_one(work.worker)
    await let_expire(work.operator, batch["id"])
    done = await api.until(batch["id"])
    files_before = (await api.content(done["output_file_id"]), await api.content(done["error_file_id"]))
    bridge = await as_bridge(work)
    kept = await batches.get(bridge, batch["id"])
    with pytest.raises(Unavailable):
        await Caretaker(bridge, batch["id"])._finish(
            replace(kept, batch=replace(kept.batch, status="finalizing"))
        )
    assert files_before == (
        await api.content(done["output_file_id"]),
        await api.content(done["error_file_id"]),
    )
    await bridge.close()


async def test_a_keeper_that_missed_its_end_is_told_again(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that gets the server's answer in the same moment may: see schemas/runtime/tasks.py."""
    caring, missed = asyncio.Event(), asyncio.Event()

    async def run(_: Caretaker) -> None:
        caring.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        missed.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Caretaker, "run", run)
    bridge = await as_bridge(work)
    watch = Watch(bridge)
    watch.start()
    kept = _kept(f"batch_{'2' * 32}")
    await batches.create(bridge, kept)
    async with asyncio.timeout(20):
        await caring.wait()
        await watch.stop()
    assert missed.is_set()
    again = await Jobs(bridge).next()
    assert again is not None
    assert again.batch_id == kept.batch.id
    await bridge.close()


async def test_why_a_bridge_gets_no_batches_is_told_once_and_ends_with_its_cause(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask, asked = Jobs.next, asyncio.Queue[int]()

    async def after_a_fault(self: Jobs) -> Job | None:
        asked.put_nowait(1)
        if asked.qsize() == 3:
            raise ValueError("nobody thought of it")
        return await ask(self)

    async def run(_: Caretaker) -> None:
        caring.set()

    caring = asyncio.Event()
    monkeypatch.setattr(Jobs, "next", after_a_fault)
    monkeypatch.setattr(Caretaker, "run", run)
    await work.operator.jetstream().delete_consumer("BATCHES", "keeper")
    bridge = await as_bridge(work)
    watch = Watch(bridge)
    watch.start()
    await holds(lambda: asked.qsize() >= 5)
    async with asyncio.timeout(20):
        await topology.ensure(work.worker.jetstream())
        await batches.create(bridge, _kept(f"batch_{'3' * 32}"))
        await caring.wait()
        await watch.stop()
    told = [(record.levelname, bool(record.exc_info)) for record in caplog.records if record.name == KEEPER]
    assert told == [("WARNING", False), ("ERROR", True)]
    await bridge.close()


def _kept(name: str) -> KeptBatch:
    batch = Batch(
        id=name, endpoint="/v1/completions", input_file_id="file-x", completion_window="24h",
        status="validating", created_at=1, expires_at=2,
    )  # fmt: skip
    return KeptBatch(batch=batch, input=Content("n", 1, 1, ""), output_seconds=60)


async def as_bridge(work: Work) -> Client:
    return await nats.connect(
        work.operator.connected_url.netloc,
        user="bridge",
        password="bridge-secret",
        inbox_prefix=b"_INBOX.bridge",
    )
