"""`/articles` with nothing but HTTP: one, several, a file; what is refused, a full queue, and where one is."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from bridge import keys
from bridge.http import receipt
from bridge.keys import KeyFile, Scope
from tests.broker.bridge.working import article, jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Start
    from working import Work

LINES = {"Content-Type": "application/x-ndjson"}


async def post(
    http: aiohttp.ClientSession, data: Any, status: int = 202, query: str = "", **headers: str
) -> dict[str, Any]:
    async with http.post(f"/articles{query}", data=data, headers=headers) as got:
        text = await got.read()
        assert got.status == status, text
        assert got.content_type == "application/json"
    found: dict[str, Any] = json.loads(text)
    return found


def statuses(found: dict[str, Any]) -> list[tuple[int, str]]:
    return [(one["line"], one["status"]) for one in found["data"]]


async def test_one_article_as_curl_sends_it(http: aiohttp.ClientSession, work: Work) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    found = await post(http, json.dumps(article("a")), **form)
    assert found == {
        "object": "list",
        "counts": {"queued": 1, "waiting_already": 0, "analysed_already": 0, "refused": 0, "not_sent": 0},
        "data": [{"line": 1, "status": "queued", "id": "a"}],
    }
    assert statuses(await post(http, json.dumps(article("a")))) == [(1, "waiting already")]
    await work.analyse("done")
    assert statuses(await post(http, json.dumps(article("done")))) == [(1, "analysed already")]
    assert await work.queued() == ["articles.norm.coin.a"]


async def test_recipe_lane_and_replace(http: aiohttp.ClientSession, work: Work) -> None:
    await work.analyse("a", "news")
    found = await post(
        http, json.dumps([article("a"), article("b")]), query="?recipe=news&lane=high&replace=true"
    )
    assert statuses(found) == [(1, "queued"), (2, "queued")]
    assert await work.queued() == ["articles.high.news.a", "articles.high.news.b"]
    assert (await work.take("high")).headers["Llm-Replace"] == "true"


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
async def test_lines_are_told_apart(http: aiohttp.ClientSession, work: Work, media: str) -> None:
    await work.analyse("done")
    body = (
        b"\xef\xbb\xbf" + jsonl(article("a")) + b"\n{}\n" + jsonl(article("done"), article("a")) + b'{"title'
    )
    found = await post(http, body, **{"Content-Type": media})
    assert statuses(found)[:3] == [(1, "queued"), (3, "refused"), (4, "analysed already")]
    assert statuses(found)[3:] == [(5, "waiting already"), (6, "refused")]
    errors = [one["error"] for one in found["data"] if "error" in one]
    assert [(error["param"], error["code"]) for error in errors] == [
        ("title", "missing_required_parameter"),
        (None, "invalid_json"),
    ]
    assert list(found["counts"].values()) == [1, 1, 1, 2, 0]
    assert "error" not in found


async def test_nothing_that_is_an_article_is_an_error(http: aiohttp.ClientSession, work: Work) -> None:
    for body, status, code in [
        (b"", 400, "no_article"),
        (b"[]", 400, "no_article"),
        (b"[{", 400, "invalid_json"),
        (b"5", 422, "invalid_value"),
        (b'{"title":"t","body":"b","color":1}', 422, "unknown_parameter"),
        (json.dumps([{}, 1]), 422, "missing_required_parameter"),
        (json.dumps(article("a", body="b" * 800_000)), 413, "payload_too_large"),
    ]:
        found = await post(http, body, status)
        assert found["error"]["code"] == code
        assert set(found["error"]) == {"message", "type", "param", "code"}
    found = await post(http, jsonl(article("a"), article("b")), 400)
    assert "need the content type `application/x-ndjson`" in found["error"]["message"]
    found = await post(http, json.dumps([{}, 1]), 422)
    assert found["error"]["message"].startswith(
        "None of the 2 can be taken; the first: Missing field `title`"
    )
    assert statuses(found) == [(1, "refused"), (2, "refused")]
    assert await work.queued() == []


@pytest.mark.parametrize(
    ("query", "param"),
    [("?recipe=a.b", "recipe"), ("?lane=low", "lane"), ("?wait=1", "wait"), ("?lane=high&lane=norm", "lane")],
)
async def test_an_option_that_is_none_is_refused_by_name(
    http: aiohttp.ClientSession, work: Work, query: str, param: str
) -> None:
    async with http.post(f"/articles{query}", json=article("a")) as got:
        assert (got.status, (await got.json())["error"]["param"]) == (400, param)
    assert await work.queued() == []


async def test_a_file_of_any_length_is_streamed_in_and_its_outcomes_out(
    start: Start, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt, "_IN_MEMORY", 1000)  # the rest of the outcomes waits on the disk
    http = await start(max_body=1000)

    async def body() -> AsyncIterator[bytes]:
        for number in range(300):
            line = jsonl(article(f"n{number}", body="b" * 10_000))
            yield line[:3000]
            yield line[3000:]

    found = await post(http, body(), **LINES)
    assert statuses(found) == [(number, "queued") for number in range(1, 301)]
    assert len(await work.queued()) == 300
    packed = gzip.compress(jsonl(article("zipped")))
    assert statuses(await post(http, packed, **LINES | {"Content-Encoding": "gzip"})) == [(1, "queued")]
    found = await post(http, b"junk", 400, **LINES | {"Content-Encoding": "gzip"})
    assert found["error"]["code"] == "invalid_body"


async def test_a_full_queue_says_how_far_it_came(http: aiohttp.ClientSession, work: Work) -> None:
    await work.limit(max_msgs=5)
    some = [article(f"n{number}") for number in range(100)]
    async with http.post("/articles", data=jsonl(*some), headers=LINES) as got:
        assert (got.status, int(got.headers["Retry-After"]) > 0) == (429, True)
        found = await got.json()
    assert found["error"]["code"] == "queue_full"
    unsent = [one["line"] for one in found["data"] if one["status"] == "not sent"]
    assert (found["counts"]["queued"], len(await work.queued())) == (5, 5)
    assert f"5 articles are known here; send line {unsent[0]} and what follows" in found["error"]["message"]
    assert len(found["data"]) < 100  # what finds no room is not even read
    await work.limit(max_msgs=-1)
    again = await post(http, jsonl(*some), **LINES)
    assert list(again["counts"].values()) == [95, 5, 0, 0, 0]


async def test_who_stops_sending_is_told_what_arrived(start: Start, work: Work) -> None:
    http = await start(client_timeout=0.2)

    async def body() -> AsyncIterator[bytes]:
        yield jsonl(article("a")) + b'{"title'
        await asyncio.Event().wait()

    found = await post(http, body(), 408, **LINES)
    assert statuses(found) == [(1, "queued")]
    assert "1 articles are known here; send line 2" in found["error"]["message"]


async def test_where_an_article_is(http: aiohttp.ClientSession, work: Work) -> None:
    async def where(key: str = "a") -> dict[str, Any]:
        async with http.get(f"/articles/coin/{key}") as got:
            found: dict[str, Any] = await got.json()
            assert got.status == (404 if "error" in found and "status" not in found else 200)
        return found

    assert (await where())["error"]["code"] == "not_found"
    await post(http, json.dumps(article("a")))
    waits = await where()
    assert (waits["id"], waits["status"], waits["lane"], waits["analysis"]) == ("a", "waiting", "norm", None)
    message = await work.take()
    assert (await where())["status"] == "in work"
    await work.bury("a")
    await message.ack_sync()
    died = await where()
    assert (died["status"], died["dead"], died["reason"]) == ("dead", "/dead/coin/a", "answer_too_long")
    await work.analyse("a")
    done = await where()
    assert (done["status"], done["analysis"], done["dead"]) == (
        "analysed",
        "/analyses/coin/a",
        "/dead/coin/a",
    )
    await post(http, json.dumps(article("a")), query="?replace=true&lane=high")
    assert ((await where())["status"], (await where())["lane"]) == ("waiting", "high")
    for strange in ("%2A", "%3E", "%ff", "x%00", "b.c", "é"):
        assert (await where(strange))["error"]["code"] == "not_found"


async def test_an_id_may_be_a_url(http: aiohttp.ClientSession, work: Work) -> None:
    await post(http, json.dumps(article("https://example.org/a?b=c")))
    for asked in ("https:%2F%2Fexample.org%2Fa%3Fb=c", "https://example.org/a%3Fb=c"):
        async with http.get(f"/articles/coin/{asked}") as got:
            assert (got.status, (await got.json())["status"]) == (200, "waiting")


async def test_keys_need_the_scope_for_it(start: Start, tmp_path: Path, work: Work) -> None:
    file = KeyFile(tmp_path / "keys.json")
    tokens = {}
    for scope in Scope:
        tokens[scope], key = keys.make(scope, [scope])
        file.add(key)
    http = await start(keys_file=tmp_path / "keys.json")
    await work.bury("d")
    for method, path, able in [
        ("POST", "/articles", {Scope.BATCH}),
        ("GET", "/articles/coin/d", {Scope.BATCH}),
        ("GET", "/analyses", {Scope.BATCH}),
        ("GET", "/analyses/coin/x", {Scope.BATCH}),
        ("GET", "/dead", {Scope.BATCH, Scope.ADMIN}),
        ("GET", "/dead/coin/d", {Scope.BATCH, Scope.ADMIN}),
        ("POST", "/dead/coin/x/retry", {Scope.ADMIN}),
        ("DELETE", "/dead/coin/x", {Scope.ADMIN}),
    ]:
        for scope, token in tokens.items():
            async with http.request(method, path, headers={"Authorization": f"Bearer {token}"}) as got:
                assert (got.status != 403) == (scope in able), (method, path, scope)
    async with http.get("/analyses/stream", headers={"Authorization": f"Bearer {tokens[Scope.CHAT]}"}) as got:
        assert got.status == 403
