"""The starter model, loaded once for the tests' own thread and once by a running engine."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mlx_lm
import platformdirs
import pytest
import pytest_asyncio

from schemas.chat import ChatRequest
from schemas.completion import Finish, TokenLogprob
from schemas.errors import LlmError
from schemas.messages import UserMessage
from worker.engine import starter, weights
from worker.engine.catalog import Catalog, Entry
from worker.engine.engine import Engine
from worker.engine.model import Limits, Model
from worker.engine.shape import Shape
from worker.jobs import Arguments, Call, Done, Ended, Event, Failed, Job, JobLane, Prepared, Text, Thought

Make = Callable[..., AbstractAsyncContextManager["Asker"]]

LONG = {"temperature": 0, "max_tokens": 500, "logit_bias": {"0": -100, "2": -100}}  # no end of its own
SHAPE = Shape(
    rows=13,
    chat_rows=1,
    bulk_share=0.05,
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


@pytest.fixture(scope="session")
def folder() -> Path:
    return starter.fetch(platformdirs.user_cache_path("nats-mlx"))


@pytest.fixture(scope="session")
def entry(folder: Path) -> Entry:
    size = (folder / "model.safetensors").stat().st_size
    return Entry(starter.NAME, ("starter",), folder, context=8192, bytes=size, preload=True)


@pytest.fixture(scope="session")
def model(entry: Entry) -> Model:
    return Model(entry, Limits(SHAPE.rows, SHAPE.kv_bytes, SHAPE.default_max_tokens))


@pytest.fixture(scope="session")
def net(entry: Entry) -> Any:
    """The weights alone, for what mlx_lm makes of them by itself."""
    return weights.load(entry, trust_remote_code=False).net


@pytest.fixture(scope="session")
def alone(net: Any, model: Model) -> Callable[[Prepared], str]:
    """The answer that mlx_lm gives to a prompt by itself, greedily."""
    return lambda work: mlx_lm.generate(net, model.tokenizer, work.prompt, max_tokens=work.max_tokens)


@dataclass
class Choice:
    """One choice, put together from its events."""

    pieces: list[str] = field(default_factory=list)
    thoughts: str = ""
    calls: list[list[str]] = field(default_factory=list)  # id, name, arguments
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: Finish | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def take(self, event: Event) -> None:
        match event:
            case Text(text, _, logprobs):
                self.pieces.append(text)
                self.logprobs.extend(logprobs)
            case Thought(text):
                self.thoughts += text
            case Call(call_id, name):
                self.calls.append([call_id, name, ""])
            case Arguments(text, index):
                self.calls[index][2] += text
            case Ended(finish):
                self.finish = finish


@dataclass(frozen=True)
class Answer:
    """What came back for one job: its choices, and its end."""

    choices: list[Choice]
    end: Done | Failed

    @property
    def pieces(self) -> list[str]:
        return self.choices[0].pieces

    @property
    def text(self) -> str:
        return self.choices[0].text

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

    @property
    def batch(self) -> Any:
        """The default model's batch, for tests that look inside."""
        return self.engine._residents._here[self.engine.catalog.default.name].batch

    async def work(self, *texts: str, **fields: Any) -> Prepared:
        fields.setdefault("messages", [UserMessage(content=text) for text in texts])
        return await self.engine.prepare(ChatRequest(**fields))

    async def idle(self) -> None:
        """Commands are carried out in their order: once a later job is done, a cancellation is."""
        await self("Hi", temperature=0, max_tokens=1)
        engine = self.engine
        assert (engine.running, engine.waiting, self.batch.jobs) == (0, 0, set())
        assert not engine._runs
        assert not engine._submitted

    def job(self, work: Prepared, lane: JobLane = "norm") -> Job:
        return Job(next(self._ids), lane, work)

    async def run(self, work: Prepared, lane: JobLane = "norm") -> Answer:
        choices = [Choice() for _ in range(work.choices)]
        async with self.engine.run(self.job(work, lane)) as run:
            while True:
                event = await run.next()
                assert event is not None
                if isinstance(event, Done | Failed):
                    return Answer(choices, event)
                choices[event.choice].take(event)

    async def __call__(self, *texts: str, **fields: Any) -> Answer:
        return await self.run(await self.work(*texts, **fields))


@pytest.fixture(scope="session")
def make_engine(entry: Entry) -> Make:
    """An engine of so many slots and one row more for chat; other entries and figures of its shape by name."""

    @asynccontextmanager
    async def make(slots: int, *others: Entry, default: Entry = entry, **shape: Any) -> AsyncIterator[Asker]:
        engine = Engine(Catalog([default, *others]), replace(SHAPE, rows=slots + 1, **shape))
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
