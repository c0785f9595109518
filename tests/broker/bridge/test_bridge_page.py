"""The page at `/`, in headless Chromium: what it shows of a house, and that nothing in it runs but its own script.

`SCREENSHOTS=folder` keeps pictures for a person to look at.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from bridge import keys
from bridge.http import page as pages
from bridge.keys import KeyFile, Scope
from tests.broker.bridge import working
from tests.broker.bridge.working import Work, article
from tests.browser import chromium

if TYPE_CHECKING:
    from conftest import Script, Start

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
CHUNK = b'{"choices":[{"index":0,"delta":{"content":"%b"}}]}'


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """It fails the test that anything on it fails or asks for more than its bridge has."""
    context = await browser.new_context()
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    yield page
    await context.close()
    assert not wrong


async def shown(page: Page, selector: str, text: str | re.Pattern[str]) -> None:
    await expect(page.locator(selector)).to_contain_text(text, timeout=20_000)


async def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def address(http: aiohttp.ClientSession) -> str:
    return str(http._base_url)


async def recent(work: Work) -> None:
    """Some hours of analyses, the last of them with markup in all that it says."""
    moods = ("bullish", "bearish", "neutral", "bullish")
    for at in range(40):
        working.NOW = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5 + (39 - at) * 8)
        await work.analyse(f"a{at}", coins=["BTC", "ETH"][: 1 + at % 2], sentiment=moods[at % 4])
    await work.analyse(EVIL, source=EVIL, sentiment=EVIL, coins=[EVIL], summary=EVIL)


async def test_an_empty_house_says_what_to_do(
    http: aiohttp.ClientSession, script: Script, work: Work, page: Page
) -> None:
    await page.goto(address(http))
    await shown(page, "#glance", "No worker is there: nats-mlx worker starts one.")
    await shown(page, "#throughput", "nats-mlx publish FILE")
    await shown(page, "#dead", "None.")
    await picture(page, "empty")


async def test_a_busy_house_is_seen_at_a_glance_and_live(
    http: aiohttp.ClientSession, script: Script, work: Work, page: Page
) -> None:
    await script.present("mac-1")
    await script.present("mac-2", model=EVIL)
    await recent(work)
    await work.bury("d1", reason="context_length_exceeded", error=EVIL)
    async with http.post("/articles", json=[article("w1"), article("w2")]) as got:
        assert got.status == 202
    await page.goto(address(http))
    await shown(page, "#glance", re.compile(r"2 workers · 2 to do, done in about"))
    await shown(page, "#workers .row:nth-child(1)", "Org/Tiny-1.0")
    await shown(page, "#workers .row:nth-child(2)", EVIL)
    await shown(page, "#queue tbody", re.compile(r"norm\s*2\s*0"))
    await shown(page, "#latest .row:first-child", EVIL)
    await shown(page, "#dead .row", EVIL)
    assert await page.locator("#throughput rect").count() == 36
    assert await page.locator("#mood rect").count() > 20
    assert await page.locator("main img, main script").count() == 0
    await work.analyse("fresh", summary="It came while somebody looked.")
    await shown(page, "#latest .row:first-child", "It came while somebody looked.")
    await picture(page, "busy")
    for name, width, scheme in (("phone", 390, "light"), ("dark", 1200, "dark")):
        await page.set_viewport_size(ViewportSize(width=width, height=844))
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await picture(page, name)


async def test_a_dead_letter_is_sent_again_by_its_button(
    http: aiohttp.ClientSession, script: Script, work: Work, page: Page
) -> None:
    await work.bury("d1")
    await page.goto(address(http))
    await page.get_by_role("button", name="Retry").click()
    await shown(page, "#dead .list", "None.")
    assert await work.queued() == ["articles.norm.coin.d1"]


async def test_a_model_is_tried_and_an_error_is_told(
    http: aiohttp.ClientSession, script: Script, work: Work, page: Page
) -> None:
    await script.present("mac-1")
    script.play(CHUNK % b"It is ", CHUNK % b"<b>money</b>.")
    await page.goto(address(http))
    await expect(page.locator("#chat select")).to_have_value("Org/Tiny-1.0", timeout=20_000)
    await page.get_by_label("Message").fill("What is a coin?")
    await page.get_by_label("Message").press("Enter")
    await shown(page, "#chat .answer", "It is <b>money</b>.")
    asked = await script.requests.get()
    assert b"What is a coin?" in asked.data

    async def refuse(message: object) -> None:
        await script.fail(message, b'{"error":{"message":"Too much."}}', 429)  # type: ignore[arg-type]

    script.answer = refuse
    await page.get_by_role("button", name="Send").click()
    await shown(page, "#chat .answer.bad", "Too much.")


async def test_where_there_are_keys_it_asks_for_one_and_shows_it_with_each_request(
    start: Start, script: Script, work: Work, page: Page, tmp_path: Path
) -> None:
    await script.present("mac-1")
    await work.bury("d1")
    token, key = keys.make("phone", [Scope.CHAT, Scope.BATCH])
    KeyFile(tmp_path / "keys.json").add(key)
    http = await start()
    await page.goto(address(http))
    await page.get_by_label("This bridge wants an API key").fill(token)
    assert await page.locator("#queue tbody tr").count() == 0
    await page.get_by_role("button", name="Use it").click()
    await shown(page, "#glance", "1 worker")
    await page.get_by_role("button", name="Retry").click()
    await shown(page, "#dead .note", "This API key lacks the scope `admin`.")


async def test_the_page_is_open_and_tells_nothing_what_it_asks_needs_a_key(
    start: Start, script: Script, work: Work, tmp_path: Path
) -> None:
    await script.present("mac-1", model="Secret/Model")
    token, key = keys.make("any", [Scope.CHAT])
    KeyFile(tmp_path / "keys.json").add(key)
    http = await start()
    async with http.get("/", headers={"Accept": "text/html"}) as got:
        assert (got.status, "Secret" in await got.text()) == (200, False)
        assert "'unsafe" not in got.headers["Content-Security-Policy"]
    for path in ("/", "/overview", "/overview/stream"):
        async with http.get(path) as got:
            assert got.status == 401
        async with http.get(path, headers={"Authorization": f"Bearer {token}"}) as got:
            assert got.status == 200
            told = b"" if path == "/" else await got.content.readuntil(b"}")
            assert path == "/" or b"Secret/Model" in told


async def test_a_stream_says_why_nothing_is_seen_and_goes_on(
    http: aiohttp.ClientSession, script: Script, work: Work
) -> None:
    await work.operator.request("$JS.API.STREAM.DELETE.DEAD")
    async with http.get("/overview/stream") as got:
        assert await got.content.readuntil(b"\n\n") == b": nothing new\n\n"
        assert (await got.content.readuntil(b"\n\n")).startswith(b"event: error\ndata: ")
        await work.begin()
        assert (await got.content.readuntil(b"\n\n")).startswith(b'data: {"workers":')


def test_the_page_has_all_that_it_needs_in_itself() -> None:
    html = pages.assemble().html
    assert re.findall(r"https?://[^\"']+", html) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", html)
