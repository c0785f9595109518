"""Real articles as one of OpenAI's batches through its SDK, and the worker killed in the middle. By hand."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import openai
import pytest

from schemas.articles import Article
from schemas.batches import OVER
from tests.chaos.conftest import option
from tests.chaos.house import House
from worker.recipes import built_in, parse

CHAT = "/v1/chat/completions"


@pytest.mark.timeout(4 * 3600)
async def test_every_line_is_answered_once(house: House, request: pytest.FixtureRequest) -> None:
    """`pytest -n 0 tests/chaos/test_real_batch.py -s --articles FILE [--take N]`"""
    file = option(request.config, "--articles")
    if not isinstance(file, Path):
        pytest.skip("by hand: --articles FILE")
    take = option(request.config, "--take")
    lines = file.read_bytes().splitlines()[: take if isinstance(take, int) else None]
    articles = [msgspec.json.decode(line, type=Article) for line in lines]
    worker = await house.worker(
        CHAOS_ENGINE="real", CHAOS_ACK_WAIT="60", NATS_MLX_WORKER_MODEL="starter",
    )  # fmt: skip
    await house.open_bridge()
    killed = False
    async with openai.AsyncOpenAI(base_url=f"{house.bridge_url}/v1", api_key="none") as sdk:
        started = time.monotonic()
        given = await sdk.files.create(file=("articles.jsonl", _lines(articles)), purpose="batch")
        batch = await sdk.batches.create(input_file_id=given.id, endpoint=CHAT, completion_window="24h")
        while batch.status not in OVER:
            await asyncio.sleep(1)
            batch = await sdk.batches.retrieve(batch.id)
            counts = batch.request_counts
            if counts is not None and counts.completed >= len(articles) // 2 and not killed:
                killed = worker.kill()
                print(f"killed the worker after {counts.completed} lines, {time.monotonic() - started:.0f} s")
        seconds = time.monotonic() - started
        assert batch.output_file_id is not None
        answers = [
            json.loads(line) for line in (await sdk.files.content(batch.output_file_id)).text.splitlines()
        ]
    print(f"{batch.request_counts} in {seconds:.0f} s, {len(articles) / seconds * 60:.2f} lines a minute")
    assert killed
    assert [answer["custom_id"] for answer in answers] == [f"line-{at}" for at in range(len(articles))]
    schema = parse(built_in("coin")).answer
    for answer in answers:
        content = answer["response"]["body"]["choices"][0]["message"]["content"]
        jsonschema.validate(json.loads(content), schema)


def _lines(articles: list[Article]) -> bytes:
    recipe = parse(built_in("coin"))
    made: list[dict[str, Any]] = []
    for at, article in enumerate(articles):
        body = msgspec.to_builtins(recipe.request(article)) | {"model": "starter"}
        made.append({"custom_id": f"line-{at}", "method": "POST", "url": CHAT, "body": body})
    return b"\n".join(map(msgspec.json.encode, made))
