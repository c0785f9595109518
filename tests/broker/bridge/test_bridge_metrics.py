"""`/metrics`: a queue with work in it, a worker that has counted; and the shipped dashboard and rules fit to it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from nats.aio.msg import Msg
from prometheus_client.parser import text_string_to_metric_families

from bridge import keys
from bridge.client.census import Census
from bridge.client.queue import eta
from bridge.keys import KeyFile, Scope
from schemas import subjects
from tests.broker.bridge.working import Work, article
from tests.needed import unavailable
from worker.engine.counters import Counters, Lookups
from worker.transport import stats
from worker.transport.micro import Endpoint, Service

if TYPE_CHECKING:
    from conftest import Script, Start

DATA = resources.files("bridge") / "data"
DASHBOARD, RULES = DATA / "grafana-dashboard.json", DATA / "prometheus-rules.yaml"


class Metrics(dict[str, float]):
    """Samples as Prometheus writes them, `name{label="value"}`, labels in the order of the alphabet."""

    def __init__(self, text: str) -> None:
        self.text = text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                self[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value

    @property
    def names(self) -> set[str]:
        return {name.partition("{")[0] for name in self}


async def scraped(http: aiohttp.ClientSession) -> Metrics:
    async with http.get("/metrics") as got:
        assert got.status == 200
        assert got.content_type == "text/plain"
        return Metrics(await got.text())


def counted() -> Counters:
    found = Counters(prompt_tokens=300, decode_tokens=40)
    found.began(16)
    found.began(0)
    found.ended["chat", "stop"] += 2
    found.first_token["chat"].add(0.3)
    found.stepped("decode", 0.02)
    found.decoded(["chat", "norm", "norm"], None)
    found.decoded(["chat", "norm", "norm"], 0.03)
    return found


async def counting(script: Script, name: str = "mac-1") -> Service:
    """A worker that is there and tells what it has counted."""

    class Shape:
        kv_bytes, memory_limit = 1000, 5000

    async def nobody(_: Msg) -> None:
        raise AssertionError

    def told() -> object:
        return stats.told(counted(), Lookups(3, 1), Shape)  # type: ignore[arg-type]

    await script.present(name)
    first = Endpoint("chat", subjects.CHAT, nobody, {})
    service = Service(script.nc, subjects.SERVICE, "1.0.0", "t", {"worker": name}, [first], told)
    await service.start()
    return service


@pytest.fixture
def promtool() -> str:
    return shutil.which("promtool") or unavailable("no promtool: Debian's package `prometheus` has it")


async def test_queue_and_workers_are_told_by_nats(
    http: aiohttp.ClientSession, work: Work, script: Script
) -> None:
    await counting(script)
    async with http.post("/articles", json=[article(key) for key in "abc"]) as got:
        assert got.status == 202
    await work.take()
    for number in range(3):
        await work.operator.jetstream().publish(f"batches.b.{number}", b"{}")
    lines = await work.worker.jetstream().pull_subscribe_bind("batch-lines", "BATCH_LINES")
    await lines.fetch(1)
    await work.analyse("x1")
    await work.analyse("x2")
    await work.bury("y")
    await work.bury("z", reason="max_deliveries")
    found = await scraped(http)
    assert found["nats_mlx_up"] == 1
    assert found['nats_mlx_queue_waiting{lane="norm"}'] == 2
    assert found['nats_mlx_queue_in_flight{lane="norm"}'] == 1
    assert (
        found['nats_mlx_queue_waiting{lane="high"}']
        == found['nats_mlx_queue_oldest_seconds{lane="high"}']
        == 0
    )
    assert 0 < found['nats_mlx_queue_oldest_seconds{lane="norm"}'] < 60
    assert found["nats_mlx_queue_eta_seconds"] > 0
    assert (found["nats_mlx_batch_lines_waiting"], found["nats_mlx_batch_lines_in_flight"]) == (2, 1)
    assert (found["nats_mlx_analyses_total"], found["nats_mlx_dead_total"]) == (2, 2)
    assert found['nats_mlx_dead_letters{reason="max_deliveries"}'] == 1
    assert found['nats_mlx_dead_letters{reason="answer_too_long"}'] == 1
    assert found["nats_mlx_workers"] == 1
    assert found['nats_mlx_prompt_tokens_total{worker="mac-1"}'] == 300
    assert found['nats_mlx_prefix_tokens_total{worker="mac-1"}'] == 16
    assert found['nats_mlx_decode_tokens_total{worker="mac-1"}'] == 40
    assert found['nats_mlx_jobs_total{lane="chat",outcome="stop",worker="mac-1"}'] == 2
    assert found['nats_mlx_cache_lookups_total{cache="result",outcome="hit",worker="mac-1"}'] == 3
    assert found['nats_mlx_cache_lookups_total{cache="prefix",outcome="miss",worker="mac-1"}'] == 1
    assert found['nats_mlx_kv_limit_bytes{worker="mac-1"}'] == 1000
    name = "nats_mlx_time_to_first_token_seconds"
    assert found[f'{name}_bucket{{lane="chat",le="0.25",worker="mac-1"}}'] == 0
    assert found[f'{name}_bucket{{lane="chat",le="0.5",worker="mac-1"}}'] == 1
    assert found[f'{name}_sum{{lane="chat",worker="mac-1"}}'] == pytest.approx(0.3)
    assert found['nats_mlx_time_between_tokens_seconds_count{lane="norm",worker="mac-1"}'] == 2
    assert found['nats_mlx_step_seconds_count{kind="decode",worker="mac-1"}'] == 1
    assert found['nats_mlx_batch_rows_sum{worker="mac-1"}'] == 6


async def test_every_bridge_tells_the_same(start: Start, work: Work, script: Script) -> None:
    await counting(script)
    await work.bury("y")
    first, second = await start(), await start()
    one = await scraped(first)
    await work.bury("z")
    await work.operator.jetstream().delete_msg("DEAD", 1)
    one, other = await scraped(first), await scraped(second)
    assert one['nats_mlx_dead_letters{reason="answer_too_long"}'] == 1
    assert one == other


async def test_one_that_is_silent_holds_nobody_up(
    http: aiohttp.ClientSession, work: Work, script: Script
) -> None:
    await counting(script)
    await script.present("mac-2")
    found = await scraped(http)
    assert found["nats_mlx_workers"] == 2
    assert 'nats_mlx_prompt_tokens_total{worker="mac-1"}' in found
    assert 'nats_mlx_prompt_tokens_total{worker="mac-2"}' not in found


async def test_letters_beyond_one_reading_are_counted_the_next_time(
    work: Work, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.client.census._MOST_READ", 2)
    census = Census(work.operator)
    for key in "abc":
        await work.bury(key)
    assert await census.take() == ({"answer_too_long": 2, "not_read_yet": 1}, 3)
    await work.operator.jetstream().publish("dead.ARTICLES.coin.d", b"put by hand")
    await work.bury("a")  # in place of the first one
    assert await census.take() == ({"answer_too_long": 2, "no_letter": 1, "not_read_yet": 1}, 5)
    assert await census.take() == ({"answer_too_long": 3, "no_letter": 1}, 5)


async def test_without_a_queue_it_says_so(http: aiohttp.ClientSession, work: Work, script: Script) -> None:
    await work.operator.request("$JS.API.STREAM.DELETE.DEAD")
    assert dict(await scraped(http)) == {"nats_mlx_up": 0}


async def test_where_there_are_keys_it_needs_one(start: Start, work: Work, tmp_path: Path) -> None:
    http = await start()
    token, key = keys.make("prometheus", [Scope.CHAT])
    KeyFile(tmp_path / "keys.json").add(key)
    async with http.get("/metrics") as got:
        assert got.status == 401
    async with http.get("/metrics", headers={"Authorization": f"Bearer {token}"}) as got:
        assert got.status == 200


@pytest.mark.parametrize(
    ("left", "pace", "seconds"), [(0, 0.0, 0.0), (0, 2.0, 0.0), (10, 2.0, 5.0), (1, 0.0, None)]
)
def test_eta(left: int, pace: float, seconds: float | None) -> None:
    assert eta(left, pace) == seconds


async def test_promtool_has_nothing_to_say(
    http: aiohttp.ClientSession, work: Work, script: Script, promtool: str
) -> None:
    await counting(script)
    await work.bury("y")
    text = (await scraped(http)).text
    for command, stdin in (["metrics"], text), (["rules", str(RULES)], ""):
        check = [promtool, "check", *command]
        done = await asyncio.to_thread(subprocess.run, check, input=stdin, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_alerts_go_off_when_they_should(promtool: str, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(Path(__file__).with_name("rules_test.yaml").read_text().replace("RULES", str(RULES)))
    done = subprocess.run(
        [promtool, "test", "rules", str(cases)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_what_dashboard_and_rules_name_is_there(
    http: aiohttp.ClientSession, work: Work, script: Script
) -> None:
    await counting(script)
    await work.bury("y")
    there = (await scraped(http)).names
    for file in DASHBOARD, RULES:
        named = set(re.findall(r"nats_mlx_\w+", file.read_text()))
        assert len(named) > 5
        assert named <= there, file.name


def test_the_dashboard_is_one_to_grafana() -> None:
    """Its own types decode all of it: what they do not know would be missing when they write it again."""
    plugins.register_default_plugins()
    shipped = json.loads(DASHBOARD.read_text())
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(shipped)))
    assert list(_lost(shipped, read, "")) == []
    shipped["panels"][1]["fieldConfig"]["defaults"]["unti"] = "s"
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(shipped)))
    assert list(_lost(shipped, read, "")) == ["/panels/1/fieldConfig/defaults/unti"]


def _lost(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    match ours, theirs:
        case dict(), dict():
            for name, value in ours.items():
                yield from _lost(value, theirs.get(name), f"{path}/{name}")
        case list(), list() if len(ours) == len(theirs):
            for at, value in enumerate(ours):
                yield from _lost(value, theirs[at], f"{path}/{at}")
        case _ if ours != theirs:
            yield path
