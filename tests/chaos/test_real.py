"""The real model, real articles, the contract's own waits, and a `kill -9` every 20 seconds. By hand."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from bridge.client import articles
from bridge.client.articles import Target
from bridge.client.gate import Gate
from tests.chaos.conftest import option
from tests.chaos.ends import ends, settled
from tests.chaos.house import House

EVERY = 20.0


@pytest.mark.timeout(4 * 3600)
async def test_every_real_article_is_analysed(
    house: House, seed: int, request: pytest.FixtureRequest
) -> None:
    """`pytest -n 0 tests/chaos/test_real.py -s --articles FILE [--take N]`"""
    file = option(request.config, "--articles")
    if not isinstance(file, Path):
        pytest.skip("by hand: --articles FILE")
    take = option(request.config, "--take")
    lines = file.read_bytes().splitlines()[: take if isinstance(take, int) else None]
    worker = await house.worker(
        CHAOS_ENGINE="real", CHAOS_ACK_WAIT="60", NATS_MLX_WORKER_MODEL="starter",
        NATS_MLX_WORKER_SHUTDOWN_GRACE="10",
    )  # fmt: skip
    bridge = await house.open_bridge()
    nc, operator = await house.connect("publisher"), await house.connect("operator")
    outgoing = [articles.prepare(line, Target()) for line in lines]
    started = time.monotonic()
    gate = Gate(print)
    for article in outgoing:
        await articles.publish(nc, article, gate)
    chance, killed = random.Random(seed), dict.fromkeys(("worker-1", "nats-server", "bridge"), 0)

    async def kill() -> None:
        while True:
            await asyncio.sleep(EVERY)
            process = chance.choice((worker, house.server, bridge))
            killed[process.name] += process.kill()

    killing = asyncio.create_task(kill())
    try:
        await settled(operator, within=3 * 3600)
    finally:
        killing.cancel()
    found = await ends(operator)
    attempts = [int(str(one["attempts"])) for one in found.analyses.values()]
    print(
        f"seed {seed}: {len(outgoing)} articles, killed {killed}, {len(found.analyses)} analyses, "
        f"{len(found.dead)} dead, at most {max(attempts)} deliveries, {time.monotonic() - started:.0f} s"
    )
    assert found.faults([article.token for article in outgoing]) == []
    assert len(found.analyses) == len(outgoing)
