"""One trace from an HTTP client or a publisher to the analysis, and `nats-mlx logs` that finds its lines."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from schemas import trace
from tests.e2e.conftest import House


async def lines(house: House, *options: str) -> list[dict[str, Any]]:
    done = await house.run("logs", "--json", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_a_chats_lines_are_found_by_its_trace_and_its_id(house: House) -> None:
    given = trace.new()
    body = {"messages": [{"role": "user", "content": "Trace me."}], "max_tokens": 3}
    headers = {"traceparent": str(given), "X-Request-Id": "traced-1"}
    async with (
        aiohttp.ClientSession(house.bridge_url) as http,
        http.post("/v1/chat/completions", json=body, headers=headers) as got,
    ):
        assert got.status == 200
    found = await lines(house, "--trace", given.trace_id)
    assert [line["event"] for line in found] == ["chat", "request"]
    assert found == await lines(house, "--request", "traced-1")
    chat = found[0]
    assert chat["outcome"] == "length"
    assert chat["completion_tokens"] == 3
    assert chat["total"] >= chat["prefill"] + chat["decode"] - 0.01


async def test_an_articles_trace_goes_from_its_publisher_to_its_analysis(house: House) -> None:
    article = {"id": "traced-2", "title": "Bitcoin rises", "body": "Bitcoin rose 5 percent on its way."}
    done = await house.run("publish", "-", "--wait", "--json", stdin=json.dumps(article))
    published = json.loads(done.stdout.splitlines()[0])
    assert published["status"] == "published"
    nc = await house.connect("operator")
    stored = await nc.jetstream().get_last_msg("ANALYSES", "analyses.coin.traced-2")
    await nc.close()
    found = trace.parse((stored.headers or {})["traceparent"])
    assert found is not None
    assert found.trace_id == published["trace_id"]
    line = (await lines(house, "--trace", found.trace_id))[-1]
    assert (line["event"], line["id"], line["outcome"]) == ("article", "traced-2", "stop")
    assert [line] == await lines(house, "--request", "traced-2")


async def test_an_articles_trace_comes_from_http_and_goes_with_it_into_the_grave(house: House) -> None:
    given = trace.new()
    article = {"id": "traced-3", "title": "t", "body": "b"}
    async with aiohttp.ClientSession(house.bridge_url, headers={"traceparent": str(given)}) as http:
        async with http.post("/articles?recipe=nowhere", json=article) as got:
            assert got.status == 202
        while True:
            async with http.get("/articles/nowhere/traced-3") as got:
                if (await got.json())["status"] == "dead":
                    break
    nc = await house.connect("operator")
    stored = await nc.jetstream().get_last_msg("DEAD", "dead.ARTICLES.nowhere.traced-3")
    await nc.close()
    assert (stored.headers or {})["traceparent"] == str(given)
    found = {line["event"]: line for line in await lines(house, "--trace", given.trace_id)}
    assert found["article_dead"]["reason"] == "unknown_recipe"
    assert (found["article"]["id"], found["article"]["outcome"]) == ("traced-3", 404)
