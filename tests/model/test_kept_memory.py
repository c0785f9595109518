"""What is kept for conversations costs what it says: a slice of a batch must not hold all of the batch."""

from __future__ import annotations

import asyncio

from tests.model.conftest import Make

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)

CHATS = 12
SLACK = 32 * 2**20


async def test_a_kept_answer_does_not_hold_the_rows_that_it_was_computed_beside(make_engine: Make) -> None:
    async with make_engine(slots=4) as ask:
        long = await ask.work("Tell me of a long journey. " * 100, temperature=0, max_tokens=400)
        chats = [await ask.work(f"{number} is a number. Say so.", max_tokens=2) for number in range(CHATS)]
        company = [asyncio.create_task(ask.run(long)) for _ in range(3)]
        await ask.run(chats[0], "chat")
        before = mx.get_active_memory() - ask.batch._prefixes.nbytes
        for chat in chats[1:]:
            await ask.run(chat, "chat")
        after = mx.get_active_memory() - ask.batch._prefixes.nbytes
        for one in company:
            one.cancel()
        await asyncio.gather(*company, return_exceptions=True)
    assert after - before < SLACK
