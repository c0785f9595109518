"""Each command of a benchmark, carried out with the settings that the worker itself would have."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import assert_never

from schemas.chat import decode_request
from schemas.codec import encode
from schemas.runtime.bench import (
    Answer,
    Ask,
    Command,
    Decode,
    Generate,
    Rate,
    Render,
    Rendered,
    Serve,
    Serving,
    Took,
    Work,
)
from worker.app import Worker, shape_of
from worker.bench import runs
from worker.bench.prompts import Prompts
from worker.engine.baseline import Baseline
from worker.engine.catalog import Catalog
from worker.engine.engine import Engine
from worker.engine.models import Models
from worker.engine.pace import LIVE
from worker.engine.shape import Shape
from worker.settings import Settings


class Desk:
    """Has an engine from the first command that needs one, and a new one when the next needs another shape."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._shape = shape_of(settings)
        self._models = Models(catalog, self._shape)
        self._engine: tuple[Shape, Engine] | None = None
        self._baseline: Baseline | None = None
        self._houses = AsyncExitStack()

    async def answer(self, command: Command) -> Answer:
        match command:
            case Render():
                return self._render(command)
            case Generate():
                return self._generate(command)
            case Work():
                return await self._work(command)
            case Ask():
                return await self._ask(command)
            case Serve():
                return await self._serve()
            case Decode():
                return await self._decode(command)
            case _:
                assert_never(command)

    async def close(self) -> None:
        await self._houses.aclose()
        if self._engine is not None:
            await self._engine[1].stop()

    def _render(self, command: Render) -> Rendered:
        entry, prompts = self._catalog.default, Prompts(self._models)
        works = prompts.works(command.articles)
        return Rendered(
            model=entry.name,
            folder=str(entry.folder),
            slots=self._settings.slots,
            chunk=self._settings.prefill_chunk,
            stretch=self._settings.prefill_stretch,
            live=LIVE,
            eos=sorted(self._models.find(None).eos),
            shared=len(prompts.head),
            requests=[prompts.request(article) for article in command.articles],
            prompt_tokens=[len(work.prompt) for work in works],
        )

    def _generate(self, command: Generate) -> Took:
        prompts = Prompts(self._models)
        texts = [work.prompt for work in prompts.works(command.articles)]
        if self._baseline is None:
            self._baseline = Baseline(self._catalog.default, self._settings.trust_remote_code)
        shared = len(prompts.head) if command.shared else 0
        started = time.monotonic()
        made = self._baseline.run(texts, command.tokens, command.rows, shared)
        return Took(time.monotonic() - started, sum(map(len, texts)), made)

    async def _work(self, command: Work) -> Took:
        shape = self._rows(command.rows)
        shape = replace(shape, prefill_chunk=command.chunk, prefill_stretch=command.stretch)
        engine = await self._running(shape)
        return await runs.articles(engine, command.articles)

    async def _ask(self, command: Ask) -> Took:
        engine = await self._running(self._shape)
        request = decode_request(encode(command.request))
        return await runs.chat(engine, request)

    async def _serve(self) -> Serving:
        worker = Worker(self._settings)
        nc = await worker.connect()
        await self._houses.enter_async_context(worker.serving(nc, await self._running(self._shape)))
        return Serving()

    async def _decode(self, command: Decode) -> Rate:
        engine = await self._running(self._rows(command.rows))
        return await runs.decode(engine, command.rows, command.tokens, guided=command.guided)

    def _rows(self, rows: int) -> Shape:
        """So many for articles; chat has its own beside them."""
        return replace(self._shape, rows=rows + self._shape.chat_rows)

    async def _running(self, shape: Shape) -> Engine:
        if self._engine is not None and self._engine[0] == shape:
            return self._engine[1]
        await self.close()
        engine = Engine(self._catalog, shape)
        self._engine = shape, engine
        await engine.start()
        return engine
