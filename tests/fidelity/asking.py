"""A running engine and the few words that it takes to ask it; the only place here that knows how one is made."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.chat import ChatRequest
from schemas.messages import Message
from worker.engine import starter
from worker.engine.catalog import Catalog, Entry
from worker.engine.engine import Engine
from worker.engine.shape import Shape
from worker.jobs import Done, Event, Failed, Job, Prepared, Text


@dataclass(frozen=True)
class Answer:
    """The text of each choice, and how it all ended."""

    texts: tuple[str, ...]
    done: Done

    @property
    def text(self) -> str:
        return self.texts[0]


class Asker:
    """Asks an engine of so many slots, and never has more than twice as many requests under way."""

    def __init__(self, engine: Engine, width: int) -> None:
        self.engine = engine
        self.width = width
        self._ids = map("fidelity-{}".format, itertools.count(1))
        self._turns = asyncio.Semaphore(2 * width)

    async def prepare(self, messages: Sequence[Message], head: Sequence[int] = (), **fields: Any) -> Prepared:
        return await self.engine.prepare(ChatRequest(messages=list(messages), **fields), head)

    async def run(self, work: Prepared) -> Answer:
        texts = [""] * work.choices
        async with self._turns, self.engine.run(Job(next(self._ids), "norm", work)) as run:
            while True:
                match await run.next():
                    case Text(text=text, choice=choice):
                        texts[choice] += text
                    case Done() as done:
                        return Answer(tuple(texts), done)
                    case Failed(error=error):
                        raise error

    async def leave(self, work: Prepared) -> None:
        """Go away in the middle of the answer."""
        async with self._turns, self.engine.run(Job(next(self._ids), "norm", work)) as run:
            event: Event | None = await run.next()
            if isinstance(event, Failed):
                raise event.error


@asynccontextmanager
async def engine_of(folder: Path, width: int) -> AsyncIterator[Asker]:
    """An engine with so many slots for bulk work, prompts computed in small chunks, so that they interleave."""
    shape = Shape(
        rows=width + 1,
        chat_rows=1,
        bulk_share=0,
        prefill_chunk=64,
        live_chunk=32,
        prefill_stretch=128,
        prefix_bytes=1 << 26,
        kv_bytes=1 << 31,
        memory_limit=1 << 33,
        idle_unload=0,
        step_limit=120,
        default_max_tokens=64,
        wired_limit=False,
    )
    size = (folder / "model.safetensors").stat().st_size
    entry = Entry(starter.NAME, ("starter",), folder, context=8192, bytes=size, preload=True)
    engine = Engine(Catalog([entry]), shape)
    await engine.start()
    try:
        yield Asker(engine, width)
    finally:
        await engine.stop()
