"""The engine's thread and those who ask it: they leave when they like, and wait for nobody longer than they must."""

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from schemas.chat import ChatRequest
from schemas.errors import Unavailable
from schemas.messages import UserMessage
from tests.model.conftest import LONG
from worker.engine import engine as engine_module
from worker.jobs import Done, Failed, Prepared, Text


class TestCancel:
    async def test_a_prompt_on_its_way_is_left_within_one_chunk(
        self, make_engine: Callable[..., Any]
    ) -> None:
        async with make_engine(slots=1) as ask:
            long = await ask.work("word " * 2000, temperature=0, max_tokens=5)
            chunks = -(-len(long.prompt) // ask.engine.shape.prefill_chunk)
            async with ask.engine.run(ask.job(long)):
                await _until(lambda: ask.batch.prompting == 1)
            await ask.idle()
            assert ask.engine.counters.steps < chunks / 2

    async def test_leaving_frees_the_row(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(slots=1) as ask:
            long, short = await ask.work("Hi", **LONG), await ask.work("Hi", temperature=0, max_tokens=3)
            leaving = AsyncExitStack()
            first = await leaving.enter_async_context(ask.engine.run(ask.job(long)))
            async with ask.engine.run(ask.job(short)) as second:
                for _ in range(5):  # the only row goes on; nothing of the second comes
                    assert isinstance(await first.next(), Text)
                assert second.events.empty()
                assert (ask.engine.running, ask.engine.waiting) == (1, 1)
                # Chat has a row of its own.
                assert (await ask.run(short, "chat")).done.finish == "length"
                await leaving.aclose()
                assert isinstance(await _end(second), Done)
            await ask.idle()

    async def test_one_that_waits_can_be_cancelled_too(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(slots=1) as ask:
            long = await ask.work("Hi", **LONG)
            async with ask.engine.run(ask.job(long)) as first:
                await first.next()
                async with ask.engine.run(ask.job(long)):
                    pass
                await first.next()
            await ask.idle()

    async def test_a_stop_ends_what_runs_and_what_comes_after(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(slots=1) as ask:
            work = await ask.work("Hi", **LONG)
            async with ask.engine.run(ask.job(work)) as run, ask.engine.run(ask.job(work)) as waiting:
                await run.next()
                await ask.engine.stop()
                ends = [await _end(run), await _end(waiting)]
            assert [type(end.error) for end in ends if isinstance(end, Failed)] == [Unavailable, Unavailable]
            with pytest.raises(Unavailable):
                await ask.run(work)

    async def test_a_stop_does_not_wait_for_a_model_that_loads(
        self, make_engine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine_module, "_LAST_STEP", 0.1)
        loading, loaded = threading.Event(), threading.Event()

        def load() -> None:
            loading.set()
            loaded.wait(30)

        async with make_engine(slots=1) as ask:
            work = await ask.work("Hi", **LONG)
            async with ask.engine.run(ask.job(work)) as run:
                ask.engine._commands.put(load)
                await asyncio.to_thread(loading.wait)
                async with asyncio.timeout(10):
                    await ask.engine.stop()
                    end = await _end(run)
                loaded.set()
            assert isinstance(end, Failed)
            assert isinstance(end.error, Unavailable)


class TestPrepare:
    async def test_a_chat_waits_for_one_article_not_for_all(
        self, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, order, may_go_on = ask.engine._models.prepare, list[str](), threading.Event()

        def prepare(request: ChatRequest, head: Sequence[int]) -> Prepared:
            may_go_on.wait(30)
            order.append(str(request.messages[0].content))
            prepared: Prepared = real(request, head)
            return prepared

        def asked(text: str, *, queued: bool) -> asyncio.Task[Prepared]:
            request = ChatRequest(messages=[UserMessage(content=text)])
            return asyncio.create_task(ask.engine.prepare(request, queued=queued))

        monkeypatch.setattr(ask.engine._models, "prepare", prepare)
        tasks = [asked(f"article {at}", queued=True) for at in range(5)]
        tasks.append(asked("chat", queued=False))
        await asyncio.sleep(0)  # all have asked
        may_go_on.set()
        await asyncio.gather(*tasks)
        assert order == ["article 0", "chat", *(f"article {at}" for at in range(1, 5))]


async def test_a_step_does_not_keep_python_from_the_loop(make_engine: Callable[..., Any]) -> None:
    sys.setswitchinterval(0.005)
    async with make_engine(slots=1):
        assert sys.getswitchinterval() < 0.001


async def _until(condition: Callable[[], bool]) -> None:
    """The engine's thread tells nobody that a prompt has begun."""
    while not condition():
        await asyncio.sleep(0)


async def _end(run: Any) -> Done | Failed:
    while True:
        event = await run.next()
        if isinstance(event, Done | Failed):
            return event
