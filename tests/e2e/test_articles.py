"""The main job from outside: articles in by the command and by plain nats-py, one valid analysis each out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from schemas.runtime import presence
from tests.e2e.conftest import House
from tests.until import seen, until

ANSWER = json.loads((Path(__file__).parents[2] / "worker/data/recipes/coin.json").read_text())["answer"]


def articles(prefix: str, count: int) -> list[dict[str, Any]]:
    """Each with a text of its own: what another test had analysed would be answered from the cache."""
    return [
        {
            "id": f"{prefix}-{n}",
            "title": f"Coin {n} moves",
            "body": f"Coin number {n} of the list {prefix} rose {n} percent today.",
        }
        for n in range(count)
    ]


def lines(items: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


async def stored(js: JetStreamContext, article_id: str) -> dict[str, Any]:
    msg = await js.get_last_msg("ANALYSES", f"analyses.coin.{article_id}", direct=True)
    analysis: dict[str, Any] = json.loads(msg.data or b"")
    jsonschema.validate(analysis["result"], ANSWER)
    return analysis


async def waiting(js: JetStreamContext, token: str) -> int:
    """How many articles are on the queue still: the analysis is seen a moment before its article is let go."""
    found = (await js.stream_info("ARTICLES", subjects_filter=f"articles.*.coin.{token}")).state
    return len(found.subjects or {})


async def test_publish_and_wait_gives_one_analysis_each_and_costs_once(house: House) -> None:
    first = await house.run("publish", "-", "--wait", "--json", stdin=lines(articles("twice", 5)))
    assert first.returncode == 0, first.stderr
    nc = await house.connect("operator")
    js = nc.jetstream()
    before = [await stored(js, f"twice-{n}") for n in range(5)]
    again = await house.run("publish", "-", "--wait", "--json", stdin=lines(articles("twice", 5)))
    assert again.returncode == 0, again.stderr
    assert [await stored(js, f"twice-{n}") for n in range(5)] == before
    await until(lambda: waiting(js, "twice-*"), 0)
    assert [await stored(js, f"twice-{n}") for n in range(5)] == before
    shown = await house.run("results", "twice-3", "--json")
    assert json.loads(shown.stdout)["id"] == "twice-3"
    await nc.close()


async def test_replace_analyses_again(house: House) -> None:
    [article] = articles("again", 1)
    assert (await house.run("publish", "-", "--wait", stdin=lines([article]))).returncode == 0
    nc = await house.connect("operator")
    js = nc.jetstream()
    before = await stored(js, "again-0")
    changed = article | {"body": "Everything fell by half."}
    done = await house.run("publish", "-", "--wait", "--replace", stdin=lines([changed]))
    assert done.returncode == 0, done.stderr
    after = await stored(js, "again-0")
    assert after["finished_at"] > before["finished_at"]
    await nc.close()


async def test_a_stranger_publishes_and_reads_with_plain_nats(house: House) -> None:
    nc = await house.connect("publisher")
    js = nc.jetstream()
    text = {"title": "비트코인 상승", "body": "비트코인이 오늘 5퍼센트 올랐다. 거래소의 코인은 줄었다. 😀"}
    await js.publish("articles.high.coin.plain-1", json.dumps(text, ensure_ascii=False).encode())
    analysis = await outcome(nc, "plain-1")
    assert analysis["article"]["title"] == "비트코인 상승"
    assert analysis["attempts"] == 1 and analysis["recipe"] == "coin" and not analysis["cached"]
    assert "\ufffd" not in json.dumps(analysis, ensure_ascii=False)
    await nc.close()


async def outcome(nc: Client, article_id: str) -> dict[str, Any]:
    analysis = await outcome_of(nc, "coin", article_id)
    jsonschema.validate(analysis["result"], ANSWER)
    return analysis


async def outcome_of(nc: Client, recipe: str, article_id: str) -> dict[str, Any]:
    """Wait as a publisher may: by looking the id up."""
    js = nc.jetstream()
    async with asyncio.timeout(120):
        while True:
            try:
                found = await js.get_last_msg("ANALYSES", f"analyses.{recipe}.{article_id}", direct=True)
            except Exception:  # not there yet
                await asyncio.wait({asyncio.create_task(nc.flush())}, timeout=0.2)
            else:
                analysis: dict[str, Any] = json.loads(found.data or b"")
                return analysis


@pytest.mark.parametrize(
    ("name", "subject", "payload", "reason"),
    [
        ("not-json", "articles.norm.coin.not-json", b"{", "invalid_json"),
        ("no-title", "articles.norm.coin.no-title", b'{"body":"x"}', "missing_required_parameter"),
        ("bad-type", "articles.norm.coin.bad-type", b'{"title":1,"body":"x"}', "invalid_value"),
        ("extra", "articles.norm.coin.extra", b'{"title":"t","body":"x","who":1}', "unknown_parameter"),
        ("no-recipe", "articles.norm.nope.no-recipe", b'{"title":"t","body":"x"}', "unknown_recipe"),
        ("other-id", "articles.norm.coin.other-id", b'{"id":"a","title":"t","body":"x"}', "id_mismatch"),
        (
            "too-long",
            "articles.norm.coin.too-long",
            b'{"title":"t","body":"%b"}' % (b"word " * 9000),
            "context_length_exceeded",
        ),
    ],
)
async def test_bad_articles_end_in_dead_with_the_reason(
    house: House, name: str, subject: str, payload: bytes, reason: str
) -> None:
    nc = await house.connect("operator")
    js = nc.jetstream()
    recipe = subject.split(".")[2]
    letters = await nc.subscribe(f"dead.ARTICLES.{recipe}.{name}")
    await nc.flush()
    await js.publish(subject, payload)
    letter = await letters.next_msg(30)
    assert letter.headers is not None
    assert letter.headers["Llm-Reason"] == reason
    assert letter.data == payload
    assert letter.headers["Llm-Error"]
    await nc.close()


def test_a_bad_line_is_named_and_the_others_go_on(house: House, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    good = lines(articles("mixed", 2))
    large = json.dumps({"id": "large", "title": "t", "body": "x" * 2_000_000})
    file.write_text(f'{good}{{"title": 1, "body": "x"}}\nnot json\n{large}\n')
    done = house.command("publish", str(file), "--wait")
    assert done.returncode == 1
    assert f"{file}:3" in done.stderr and "title" in done.stderr
    assert f"{file}:4" in done.stderr and f"{file}:5" in done.stderr
    assert house.command("results", "mixed-0", "mixed-1").returncode == 0


async def worker_pids(nc: Client) -> list[int]:
    """A worker that an earlier test had restarted may be about to say that it is here."""
    return [one.pid for one in await seen(lambda: presence.workers(nc))]


async def begin(nc: Client, items: list[dict[str, Any]]) -> None:
    """Publish, and come back in the middle of the work: with the first analysis."""
    analyses = await nc.subscribe("analyses.coin.*")
    await nc.flush()
    for item in items:
        await nc.jetstream().publish(f"articles.norm.coin.{item['id']}", json.dumps(item).encode())
    await analyses.next_msg(200)
    await analyses.unsubscribe()


async def test_an_article_for_a_model_that_nobody_serves_is_dead_at_once(house: House) -> None:
    nc = await house.connect("operator")
    js = nc.jetstream()
    bucket = await js.key_value("llm_recipes")
    coin = json.loads((await bucket.get("coin")).value or b"")
    await bucket.put("elsewhere", json.dumps(coin | {"model": "no-such-model"}).encode())
    letters = await nc.subscribe("dead.ARTICLES.elsewhere.*")
    await nc.flush()
    await js.publish("articles.norm.elsewhere.m1", b'{"title":"t","body":"b"}')
    letter = await letters.next_msg(30)
    assert letter.headers and letter.headers["Llm-Reason"] == "model_not_found"
    assert "no-such-model" in letter.headers["Llm-Error"]
    await nc.close()


async def test_a_stopped_worker_gives_its_work_back_and_tells_its_callers(house: House) -> None:
    nc = await house.connect("operator")
    js = nc.jetstream()
    endless = {
        "messages": [{"role": "user", "content": "Tell me everything."}],
        "stream": True,
        "max_tokens": 4000,
        "logit_bias": {"0": -100, "2": -100},
    }
    chunks = await nc.subscribe(inbox := nc.new_inbox())
    await nc.publish("llm.v1.chat", json.dumps(endless).encode(), reply=inbox)
    await chunks.next_msg(60)
    await begin(nc, articles("given-back", 20))
    [pid] = await worker_pids(nc)
    os.kill(pid, signal.SIGTERM)
    while (last := await chunks.next_msg(30)).data:
        pass
    assert last.headers and last.headers["Nats-Service-Error-Code"] == "503"
    # Given back by name, not after the ack wait of a minute: the next worker has it within seconds.
    async with asyncio.timeout(50):
        while not (await js.consumer_info("ARTICLES", "articles-norm")).num_redelivered:
            if (await js.stream_info("ARTICLES")).state.messages == 0:
                break  # a fast machine finished them all in its grace
    for n in range(20):
        await outcome(nc, f"given-back-{n}")
    await nc.close()


async def test_a_killed_worker_loses_nothing(house: House) -> None:
    nc = await house.connect("operator")
    js = nc.jetstream()
    await begin(nc, articles("killed", 12))
    [pid] = await worker_pids(nc)
    os.kill(pid, signal.SIGKILL)
    waiting = await house.run("publish", "-", "--wait", stdin=lines(articles("killed", 12)))
    assert waiting.returncode == 0, waiting.stderr
    found = [await stored(js, f"killed-{n}") for n in range(12)]
    assert len({analysis["id"] for analysis in found}) == 12
    assert max(analysis["attempts"] for analysis in found) == 2
    await nc.close()
