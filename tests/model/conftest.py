"""The starter model, loaded once for the tests' own thread and once by a running engine."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import pytest_asyncio

from schemas.chat import ChatRequest, UserMessage
from schemas.errors import LlmError
from worker.engine import starter
from worker.engine.batch import Shape
from worker.engine.engine import Engine
from worker.engine.model import Model
from worker.jobs import Done, Failed, Job, JobLane, Prepared, Text

Make = Callable[..., AbstractAsyncContextManager["Asker"]]


@pytest.fixture(scope="session")
def folder() -> Path:
    return starter.fetch(platformdirs.user_cache_path("nats-mlx"))


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return Model(starter.NAME, folder, 64)


@dataclass(frozen=True)
class Answer:
    """What came back for one job: the pieces as they came, and its end."""

    pieces: list[str]
    end: Done | Failed

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def done(self) -> Done:
        assert isinstance(self.end, Done), self.end
        return self.end

    @property
    def error(self) -> LlmError:
        assert isinstance(self.end, Failed), self.end
        return self.end.error


class Asker:
    """A running engine, and the few words that it takes to ask it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._ids = map("job-{}".format, itertools.count(1))

    async def work(self, *texts: str, **fields: Any) -> Prepared:
        messages = [UserMessage(content=text) for text in texts]
        return await self.engine.prepare(ChatRequest(messages=messages, **fields))

    async def idle(self) -> None:
        """Commands are carried out in their order: once a later job is done, a cancellation is."""
        await self("Hi", temperature=0, max_tokens=1)
        engine = self.engine
        assert (engine.running, engine.waiting, len(engine._batch)) == (0, 0, 0)
        assert not engine._runs
        assert not engine._submitted

    def job(self, work: Prepared, lane: JobLane = "norm") -> Job:
        return Job(next(self._ids), lane, work)

    async def run(self, work: Prepared, lane: JobLane = "norm") -> Answer:
        pieces: list[str] = []
        async with self.engine.run(self.job(work, lane)) as run:
            while True:
                event = await run.next()
                if isinstance(event, Text):
                    pieces.append(event.text)
                elif event is not None:
                    return Answer(pieces, event)

    async def __call__(self, *texts: str, **fields: Any) -> Answer:
        return await self.run(await self.work(*texts, **fields))


@pytest.fixture(scope="session")
def make_engine(folder: Path) -> Make:
    @asynccontextmanager
    async def make(slots: int) -> AsyncIterator[Asker]:
        shape = Shape(
            rows=slots + 1, prefill_rows=2, prefill_chunk=64, prefix_bytes=1 << 26, wired_limit=False
        )
        engine = Engine(starter.NAME, folder, shape, 1, 64)
        await engine.start()
        try:
            yield Asker(engine)
        finally:
            await engine.stop()

    return make


@pytest_asyncio.fixture(scope="session")
async def ask(make_engine: Make) -> AsyncIterator[Asker]:
    async with make_engine(slots=12) as asker:
        yield asker
