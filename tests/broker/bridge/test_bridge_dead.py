"""`/dead` over HTTP: read, sent again, removed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from working import Work


async def call(http: aiohttp.ClientSession, method: str, path: str, status: int = 200) -> dict[str, Any]:
    async with http.request(method, f"/dead{path}") as got:
        found: dict[str, Any] = await got.json()
        assert got.status == status, found
    return found


async def ids(http: aiohttp.ClientSession, query: str = "") -> list[str]:
    return [one["id"] for one in (await call(http, "GET", query))["data"]]


async def test_they_are_listed_and_chosen(http: aiohttp.ClientSession, work: Work) -> None:
    await work.bury("a", reason="x")
    await work.bury("b", "news", reason="x")
    await work.bury("c", reason="y")
    await work.operator.jetstream().publish("dead.ARTICLES.coin.junk", b"no letter")
    assert await ids(http) == ["a", "b", "c", "junk"]
    assert await ids(http, "?recipe=coin") == ["a", "c", "junk"]
    assert await ids(http, "?reason=x") == ["a", "b"]
    first = await call(http, "GET", "?limit=3")
    assert (first["has_more"], first["data"][0]["letter"]["error"]) == (True, "The answer did not end.")
    rest = await call(http, "GET", f"?cursor={first['cursor']}")
    assert (rest["has_more"], rest["data"]) == (False, [{"id": "junk", "recipe": "coin", "letter": None}])


async def test_one_is_shown_with_its_article(http: aiohttp.ClientSession, work: Work) -> None:
    await work.bury("a", payload=b' {"title": "as it was"} ')
    found = await call(http, "GET", "/coin/a")
    assert (found["payload"], found["letter"]["attempts"]) == (' {"title": "as it was"} ', 3)
    await work.bury("b", payload=b"\xff\x00")
    found = await call(http, "GET", "/coin/b")
    assert (base64.b64decode(found["payload_base64"]), "payload" in found) == (b"\xff\x00", False)


async def test_one_is_sent_again(http: aiohttp.ClientSession, work: Work) -> None:
    await work.bury("a", subject="articles.high.coin.a")
    assert await call(http, "POST", "/coin/a/retry") == {"id": "a", "recipe": "coin", "status": "sent again"}
    assert (await work.queued(), await ids(http)) == (["articles.high.coin.a"], [])
    assert (await work.take("high")).headers["Llm-Earlier-Attempts"] == "3"
    await work.bury("a", subject="articles.high.coin.a")
    assert (await call(http, "POST", "/coin/a/retry"))["status"] == "waits already"
    await work.analyse("b")
    await work.bury("b")
    assert (await call(http, "POST", "/coin/b/retry"))["status"] == "analysed already"
    assert await ids(http) == []


async def test_one_that_its_worker_has_not_let_go_stays(http: aiohttp.ClientSession, work: Work) -> None:
    ack = await work.operator.jetstream().publish("articles.norm.coin.a", b"{}")
    await work.bury("a", sequence=ack.seq)
    found = await call(http, "POST", "/coin/a/retry", 409)
    assert found["error"]["code"] == "not_let_go_yet"
    assert await ids(http) == ["a"]


async def test_a_full_queue_keeps_the_letter(http: aiohttp.ClientSession, work: Work) -> None:
    await work.operator.jetstream().publish("articles.norm.coin.x", b"{}")
    await work.limit(max_msgs=1)
    await work.bury("a")
    assert (await call(http, "POST", "/coin/a/retry", 429))["error"]["code"] == "queue_full"
    assert await ids(http) == ["a"]


async def test_one_is_removed(http: aiohttp.ClientSession, work: Work) -> None:
    await work.bury("a")
    await work.operator.jetstream().publish("dead.ARTICLES.coin.junk", b"no letter")
    assert (await call(http, "POST", "/coin/junk/retry", 400))["error"]["code"] == "invalid_letter"
    for key in ("a", "junk"):
        assert (await call(http, "DELETE", f"/coin/{key}"))["status"] == "removed"
    assert await ids(http) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/coin/z"),
        ("DELETE", "/coin/z"),
        ("POST", "/coin/z/retry"),
        ("DELETE", "/coin/*"),
        ("GET", "/*/a"),
    ],
)
async def test_what_is_not_there_is_a_404(
    http: aiohttp.ClientSession, work: Work, method: str, path: str
) -> None:
    await work.bury("a")
    assert (await call(http, method, path, 404))["error"]["code"] == "not_found"
    assert await ids(http) == ["a"]
