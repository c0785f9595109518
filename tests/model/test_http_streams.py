"""Over HTTP: a busy model shows signs of life, and who hangs up frees the rows of the batch within a step or two."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bridge import app
from bridge.settings import Settings
from tests.broker.cli.conftest import Server, server
from tests.model.conftest import Asker
from tests.model.test_shared_chats import opened
from tests.until import holds

__all__ = ["server"]

ENDLESS = {"max_tokens": 4000, "temperature": 0, "logit_bias": {"2": -100, "0": -100}}
CHAT = ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "n": 2, "seed": 1})
TEXT = ("/v1/completions", {"prompt": ["One, two,", "The capital of"]})
# The one that is computed meanwhile, and the one that has begun when the cancellation comes.
_STEPS = 3
# Seconds: far less than a step takes.
_KEEP_ALIVE = 0.005


@pytest_asyncio.fixture
async def http(server: Server, ask: Asker, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """The bridge, with a worker and the real engine behind it."""
    async with opened(server, ask, keep_alive=_KEEP_ALIVE):
        nc = await server.connect("bridge")
        runner = await app.listen(Settings.load(port=0, data_dir=tmp_path, shutdown_timeout=0.1), nc)
        async with aiohttp.ClientSession(app.address(runner)) as session:
            yield session
        await runner.cleanup()
        await nc.close()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("path", "body"), [CHAT, TEXT], ids=["chat", "completions"])
async def test_its_rows_are_free_at_once(
    http: aiohttp.ClientSession, ask: Asker, path: str, body: dict[str, Any], stream: bool
) -> None:
    asked = asyncio.create_task(http.post(path, json=ENDLESS | body | {"stream": stream}))
    await holds(lambda: len(ask.batch._decoder.rows) == 2, within=60)
    if stream:
        (await asked).close()
    else:
        asked.cancel()
    before = ask.engine.counters.steps
    await holds(lambda: not ask.engine.running, within=60)
    assert ask.engine.counters.steps - before <= _STEPS
    await ask.idle()


@pytest.mark.parametrize(("path", "body"), [CHAT, TEXT], ids=["chat", "completions"])
async def test_signs_of_life_are_comments_and_change_nothing(
    http: aiohttp.ClientSession, path: str, body: dict[str, Any]
) -> None:
    body = body | {"temperature": 0, "max_tokens": 5}
    async with http.post(path, json=body) as got:
        whole = (await got.json())["choices"]
    async with http.post(path, json=body | {"stream": True}) as got:
        *frames, done, end = (await got.text()).split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    assert {frame for frame in frames if not frame.startswith("data: ")} == {": the model is busy"}
    said: dict[int, str] = defaultdict(str)
    for frame in frames:
        if frame.startswith("data: "):
            [part] = json.loads(frame.removeprefix("data: "))["choices"]
            said[part["index"]] += part["delta"].get("content", "") if "delta" in part else part["text"]
    assert said == {
        one["index"]: one["message"]["content"] if "message" in one else one["text"] for one in whole
    }
