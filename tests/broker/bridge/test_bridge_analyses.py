"""`/analyses` in pages, one by one and as they come, from a real stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from bridge import app
from bridge.client import pages
from bridge.http import feed, sse
from bridge.http.context import ACTIVE
from bridge.settings import Settings
from schemas.runtime.connection import connect
from tests.broker.bridge.raw_http import Raw
from tests.until import holds

if TYPE_CHECKING:
    from working import Work

URL = "/analyses/stream"


async def page(http: aiohttp.ClientSession, **query: Any) -> dict[str, Any]:
    async with http.get("/analyses", params=query) as got:
        found: dict[str, Any] = await got.json()
        assert got.status == 200, found
    return found


async def ids(http: aiohttp.ClientSession, **query: Any) -> list[str]:
    return [one["id"] for one in (await page(http, **query))["data"]]


async def test_they_are_chosen(http: aiohttp.ClientSession, work: Work) -> None:
    await work.analyse("a", source="x", sentiment="bullish", coins=["BTC", "ETH"])
    await work.analyse("b", source="y", sentiment="bearish", coins=["eth"])
    await work.analyse("c", "news", source="x", sentiment=5, coins=5)
    js = work.operator.jetstream()
    await js.publish("analyses.coin.junk", b"no analysis")
    await js.publish("analyses.coin.list", b'{"article":{},"result":["BTC"]}')
    assert await ids(http, recipe="news") == ["c"]
    assert await ids(http, source="x") == ["a", "c"]
    assert await ids(http, coin="Eth") == ["a", "b"]
    assert await ids(http, sentiment="bullish", coin="btc") == ["a"]
    assert await ids(http, sentiment="neutral") == []
    async with http.get("/analyses/coin/a") as got:
        assert (got.status, (await got.json())["result"]["coins"]) == (200, ["BTC", "ETH"])
    for path in ("/analyses/coin/z", "/analyses/a.b/c", "/analyses/*/a", "/analyses/coin/%2A"):
        async with http.get(path) as got:
            assert (got.status, (await got.json())["error"]["code"]) == (404, "not_found")


async def test_they_are_chosen_by_the_moment_of_storing(http: aiohttp.ClientSession, work: Work) -> None:
    moments = []
    for key in "abc":
        sequence = await work.analyse(key)
        message = await work.operator.jetstream().get_msg("ANALYSES", sequence, direct=True)
        assert message.headers is not None
        moments.append(message.headers["Nats-Time-Stamp"])
    assert await ids(http, since=moments[1]) == ["b", "c"]
    assert await ids(http, until=moments[1]) == ["a", "b"]
    assert await ids(http, since=moments[1], until=moments[1]) == ["b"]
    assert await ids(http, since="2099-01-01T00:00:00Z") == []
    nothing = await page(http, since="2099-01-01T00:00:00Z")
    assert await ids(http, cursor=nothing["cursor"]) == []
    await work.analyse("d")
    assert await ids(http, cursor=nothing["cursor"]) == ["d"]
    first = await page(http, since=moments[1], limit=1)
    assert await ids(http, since=moments[1], cursor=first["cursor"]) == ["c", "d"]


async def test_pages_go_on_where_they_ended_and_miss_nothing(http: aiohttp.ClientSession, work: Work) -> None:
    for number in range(5):
        await work.analyse(f"n{number}")
    seen, found = [], {"cursor": 0, "has_more": True}
    while found["has_more"]:
        found = await page(http, limit=2, cursor=found["cursor"])
        seen += [one["id"] for one in found["data"]]
    assert seen == [f"n{number}" for number in range(5)]
    assert (await page(http, limit=5))["has_more"] is False
    assert await ids(http, cursor=found["cursor"]) == []
    await work.analyse("late")
    assert await ids(http, cursor=found["cursor"]) == ["late"]


async def test_a_rare_match_costs_no_more_than_a_page(
    http: aiohttp.ClientSession, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_MOST_READ", 3)
    for number in range(4):
        await work.analyse(f"n{number}")
    await work.analyse("rare", sentiment="bullish")
    first = await page(http, sentiment="bullish")
    assert (first["data"], first["has_more"]) == ([], True)
    assert await ids(http, sentiment="bullish", cursor=first["cursor"]) == ["rare"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?color=1", "color"), ("?limit=0", "limit"), ("?limit=101", "limit"), ("?limit=x", "limit"),
        ("?cursor=-1", "cursor"), ("?cursor=99999999999999999999", "cursor"), ("?since=2026-01-01", "since"),
        ("?since=3", "since"), ("?until=1e9", "until"),
        ("?until=2026-01-01T00:00:00", "until"), ("?recipe=*", "recipe"), ("?coin=a&coin=b", "coin"),
        ("/coin/a?x=1", "x"), ("/stream?limit=1", "limit"), ("/stream?cursor=x", "cursor"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused_by_name(
    http: aiohttp.ClientSession, work: Work, query: str, param: str
) -> None:
    async with http.get(f"/analyses{query}") as got:
        assert (got.status, (await got.json())["error"]["param"]) == (400, param)


class Listener:
    """Reads a stream of events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> str:
        async with asyncio.timeout(5):
            return (await self.answer.content.readuntil(b"\n\n")).decode()

    async def event(self) -> tuple[int, str]:
        """The id of the next one that is no comment, and its analysis's."""
        while (text := await self.next()).startswith(":"):
            pass
        name, data = text.strip().split("\n")
        return int(name.removeprefix("id: ")), json.loads(data.removeprefix("data: "))["id"]


Listen = Callable[..., Awaitable[Listener]]


@pytest.fixture
def listen(http: aiohttp.ClientSession, work: Work, monkeypatch: pytest.MonkeyPatch) -> Listen:
    monkeypatch.setattr(feed, "_LOOK_EVERY", 0.02)

    async def begin(query: str = "", **headers: str) -> Listener:
        answer = await http.get(
            URL + query, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        found = Listener(answer)
        assert (await found.next()).startswith(":")
        return found

    return begin


async def test_what_comes_is_streamed_and_resumed(listen: Listen, work: Work) -> None:
    await work.analyse("old")
    first = await listen()
    one = await work.analyse("a")
    assert await first.event() == (one, "a")
    first.answer.close()
    two, three = await work.analyse("b"), await work.analyse("c")
    again = await listen(Last_Event_ID=str(one))
    assert [await again.event(), await again.event()] == [(two, "b"), (three, "c")]
    replaced = await work.analyse("a")
    assert await again.event() == (replaced, "a")
    everything = await listen("?cursor=0")
    assert [(await everything.event())[1] for _ in range(4)] == ["old", "b", "c", "a"]
    # A browser repeats the address that it began with.
    later = await listen("?cursor=0", Last_Event_ID=str(three))
    assert await later.event() == (replaced, "a")
    for listener in (again, everything, later):
        listener.answer.close()


async def test_a_cursor_beyond_the_end_waits_for_what_comes(listen: Listen, work: Work) -> None:
    await work.analyse("a")
    listener = await listen(Last_Event_ID="999999")
    sequence = await work.analyse("b")
    assert await listener.event() == (sequence, "b")
    listener.answer.close()


async def test_a_stream_has_the_filters_too_and_an_event_is_one_line(listen: Listen, work: Work) -> None:
    listener = await listen("?recipe=coin&sentiment=bullish")
    await work.analyse("a")
    await work.analyse("b", "news", sentiment="bullish")
    text = b'{"id":"c",\r\n"article":{},\n"result":{"sentiment":"bullish"}}'
    await work.operator.jetstream().publish("analyses.coin.c", text)
    assert (await listener.event())[1] == "c"
    listener.answer.close()


async def test_it_beats_while_nothing_comes(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "BEAT_EVERY", 0.05)
    listener = await listen()
    assert [await listener.next() for _ in range(2)] == [": nothing new\n\n"] * 2
    listener.answer.close()


@pytest.mark.parametrize("bad", ["x", "-1", "1" * 20, "1.5"])
async def test_an_event_id_that_is_none(http: aiohttp.ClientSession, work: Work, bad: str) -> None:
    async with http.get(URL, headers={"Last-Event-ID": bad}) as got:
        assert (got.status, (await got.json())["error"]["param"]) == (400, "Last-Event-ID")


async def test_who_only_wants_the_head_gets_no_stream(http: aiohttp.ClientSession) -> None:
    async with http.head(URL) as got:
        assert (got.status, got.headers["Allow"]) == (405, "GET")


class Bridge:
    """One that a test takes apart."""

    async def begin(self, nats_url: str, **values: Any) -> None:
        chosen = Settings.load(
            nats_url=nats_url, nats_user="bridge", nats_password="bridge-secret", port=0, **values
        )
        self.nc = await connect(nats_url, "bridge", "bridge-secret", name="test bridge", wait=False)
        self.runner = await app.listen(chosen, self.nc)
        self.http = aiohttp.ClientSession(app.address(self.runner))

    async def end(self) -> None:
        await self.http.close()
        await self.runner.cleanup()
        await self.nc.close()


@pytest_asyncio.fixture
async def bridge(nats_server: str, tmp_path: Path) -> AsyncIterator[Bridge]:
    found = Bridge()
    await found.begin(nats_server, shutdown_timeout=60, data_dir=tmp_path)
    yield found
    await found.end()


async def test_whoever_leaves_leaves_nothing_behind(
    bridge: Bridge, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_LOOK_EVERY", 0.02)
    clients = [await Raw.connect(bridge.http) for _ in range(20)]
    for client in clients:
        await client.send(f"GET {URL} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(5):
            await client.reader.readuntil(b"nothing new\n\n")
    assert bridge.runner.app is not None
    active = bridge.runner.app[ACTIVE]
    assert len(active) == 20
    for client in clients:
        await client.close()
    # The keepers' subscription and the one of all plain requests stay.
    await holds(lambda: not active and len(bridge.nc._subs) <= 2)


async def test_a_bridge_that_stops_does_not_wait_for_its_listeners(bridge: Bridge, work: Work) -> None:
    async with bridge.http.get(URL) as answer:
        await Listener(answer).next()
        async with asyncio.timeout(5):
            await bridge.runner.cleanup()
        assert await answer.content.read() == b""  # an end in order: nothing is missing


async def test_without_nats_nobody_waits(bridge: Bridge, work: Work) -> None:
    async with bridge.http.get(URL) as answer:
        listener = Listener(answer)
        await listener.next()
        await bridge.nc.close()
        assert (await listener.next()).startswith('event: error\ndata: {"error":{"message":"')
        assert await answer.content.read() == b""
    looks = ("/analyses", "/analyses/coin/a", URL, "/articles/coin/a", "/dead", "/dead/coin/a")
    for method, path in [
        *(("GET", path) for path in looks),
        *(("POST", "/articles"), ("POST", "/dead/coin/a/retry"), ("DELETE", "/dead/coin/a")),
    ]:
        async with bridge.http.request(method, path, data=b"{}" if method == "POST" else None) as got:
            assert (got.status, "Retry-After" in got.headers) == (503, True), path
            assert (await got.json())["error"]["code"] == "unavailable"
