"""Headless Chromium for what people see in a browser: Debian's, driven by Playwright, which would fetch its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Browser, async_playwright

from tests.needed import unavailable

# Without the first it does not run as root; without the others it calls home at its start.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Skips at a desk without it, fails in CI."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        unavailable("no Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
