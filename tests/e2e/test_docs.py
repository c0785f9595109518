"""`/docs` in a browser: Swagger UI comes from the bridge alone, and "Try it out" answers with the real model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser import chromium
from tests.e2e.conftest import House
from tests.e2e.sdk import ANSWER, PARIS

PATIENCE = 120_000  # milliseconds, on a busy machine
CHAT = "#operations-default-post_v1_chat_completions"


@pytest_asyncio.fixture
async def page(house: House) -> AsyncIterator[Page]:
    """Whatever fails on it, or is asked of anybody but the bridge, fails the test."""
    wrong: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        ours = urlsplit(house.bridge_url).netloc
        page.on(
            "request", lambda asked: wrong.append(asked.url) if _host(asked.url) not in ("", ours) else None
        )
        await page.goto(f"{house.bridge_url}/docs")
        await expect(page.locator(CHAT)).to_be_visible(timeout=PATIENCE)
        yield page
    assert not wrong


def _host(url: str) -> str:
    return urlsplit(url).netloc


async def test_each_operation_is_there_and_may_be_tried(page: Page) -> None:
    document = await page.evaluate("fetch('openapi.json').then(got => got.json())")
    told = sum(len(methods) for methods in document["paths"].values())
    await expect(page.locator(".opblock")).to_have_count(told)

    block = page.locator(CHAT)
    await block.locator(".opblock-summary-control").click()
    await block.locator(".try-out__btn").click()
    # The document's example, as it stands in the field, is a request.
    asked = await block.locator("textarea.body-param__text").input_value()
    assert json.loads(asked)["messages"] == PARIS
    await block.locator(".execute").click()
    row = block.locator(".live-responses-table tr.response:has(code)")
    await expect(row.locator(".response-col_status")).to_have_text("200", timeout=PATIENCE)
    answer = json.loads(await row.locator("code").first.inner_text())
    assert answer["choices"][0]["message"]["content"] == ANSWER
