"""`/metrics` of a running house: what its worker counted has come to the bridge."""

from __future__ import annotations

import aiohttp

from tests.e2e.conftest import House
from tests.e2e.test_completions import idle


async def scraped(http: aiohttp.ClientSession) -> dict[str, float]:
    """Samples by name and labels, but for the worker's, which is one."""
    async with http.get("/metrics") as got:
        lines = [line for line in (await got.text()).splitlines() if not line.startswith("#")]
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {name.partition('worker="')[0]: float(value) for name, value in pairs}


async def test_a_chat_is_counted(house: House) -> None:
    body = {"messages": [{"role": "user", "content": "Count me."}], "max_tokens": 4, "seed": 7}
    async with aiohttp.ClientSession(house.bridge_url) as http:
        await idle(house)
        before = await scraped(http)
        assert "nats_mlx_decode_tokens_total{" in before
        async with http.post("/v1/chat/completions", json=body) as got:
            assert got.status == 200
            usage = (await got.json())["usage"]
        after = await scraped(http)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["nats_mlx_decode_tokens_total{"] == usage["completion_tokens"]
    assert grown['nats_mlx_time_to_first_token_seconds_sum{lane="chat",'] > 0
    assert grown["nats_mlx_batch_rows_sum{"] >= usage["completion_tokens"] - 1
    assert after["nats_mlx_memory_bytes{"] > 100_000_000
    assert after["nats_mlx_memory_limit_bytes{"] > after["nats_mlx_kv_limit_bytes{"] > 0
    assert after["nats_mlx_up"] == 1
