"""Several models in one engine: each answers by its name, and their weights come and go with the memory limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from folders import adapter, clone

from schemas.errors import NotFound, Unavailable
from worker.engine.catalog import Entry
from worker.engine.residents import Residents

CAPITAL = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
LONG = {"temperature": 0, "max_tokens": 500, "logit_bias": {"0": -100, "2": -100}}  # no end of its own
ROOM = 1 << 29  # KV state in these tests


@pytest.fixture(scope="session")
def twin(entry: Entry, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """The same weights under another name."""
    folder = clone(entry.folder, tmp_path_factory.mktemp("models") / "twin")
    return replace(entry, name="twin", aliases=("zwilling",), folder=folder, preload=False)


def limit(entry: Entry, models: float) -> dict[str, int]:
    return {"kv_bytes": ROOM, "memory_limit": ROOM + int(models * entry.bytes)}


class TestNames:
    async def test_each_answers_to_its_names(self, make_engine: Callable[..., Any], twin: Entry) -> None:
        async with make_engine(2, twin) as ask:
            assert ask.engine.loaded == {"smollm2-135m-instruct"}
            for name in (None, "starter", "twin", "Zwilling"):
                work = await ask.work(CAPITAL, model=name, temperature=0)
                assert work.model == ("twin" if name and "w" in name else "smollm2-135m-instruct")
                assert (await ask.run(work)).text == ANSWER
            assert ask.engine.loaded == {"smollm2-135m-instruct", "twin"}
            with pytest.raises(NotFound) as caught:
                await ask.work("Hi", model="gpt-4o")
            assert (caught.value.param, caught.value.code) == ("model", "model_not_found")

    async def test_two_models_run_side_by_side(self, make_engine: Callable[..., Any], twin: Entry) -> None:
        async with make_engine(4, twin) as ask:
            works = [
                await ask.work(CAPITAL, model=name, temperature=0) for name in (None, "twin", None, "twin")
            ]
            answers = await asyncio.gather(*map(ask.run, works))
            assert [answer.text for answer in answers] == [ANSWER] * 4

    async def test_articles_of_another_leave_a_chat_its_time(
        self, make_engine: Callable[..., Any], twin: Entry
    ) -> None:
        """One device computes for both: until the chat has its first token, the others' steps are few."""
        async with make_engine(4, twin, bulk_share=0.1) as ask:
            await ask(CAPITAL, model="twin", temperature=0)
            article = await ask.work("word " * 1500, model="twin", temperature=0, max_tokens=1)
            chat = await ask.work("fish " * 600, temperature=0, max_tokens=1)
            other = ask.engine._residents._here["twin"].batch
            running = asyncio.create_task(ask.run(article))
            while not other.prompting:
                await asyncio.sleep(0)
            steps: list[str] = []

            def noted(name: str, step: Callable[[], Any]) -> Callable[[], Any]:
                return lambda: steps.append(name) or step()

            with (
                patch.object(other, "step", noted("article", other.step)),
                patch.object(ask.batch, "step", noted("chat", ask.batch.step)),
            ):
                await ask.run(chat, "chat")
            running.cancel()
        since = steps[steps.index("chat") :]
        assert 1 <= since.count("article") <= since.count("chat") / 2

    async def test_an_adapter_changes_the_answer(
        self, make_engine: Callable[..., Any], twin: Entry, tmp_path: Path
    ) -> None:
        tuned = replace(twin, name="tuned", aliases=(), adapter=adapter(twin.folder, tmp_path / "adapter"))
        async with make_engine(2, twin, tuned) as ask:
            plain = await ask(CAPITAL, model="twin", temperature=0, max_tokens=12)
            other = await ask(CAPITAL, model="tuned", temperature=0, max_tokens=12)
            assert plain.text == ANSWER
            assert other.text not in ("", ANSWER)


class TestMemory:
    async def test_the_least_recently_used_makes_room(
        self, make_engine: Callable[..., Any], entry: Entry, twin: Entry
    ) -> None:
        third = replace(twin, name="third", aliases=())
        async with make_engine(2, twin, third, **limit(entry, 2.5)) as ask:
            for name in ("twin", None, "third"):
                assert (await ask(CAPITAL, model=name, temperature=0)).text == ANSWER
            assert ask.engine.loaded == {"smollm2-135m-instruct", "third"}
            assert (await ask(CAPITAL, model="twin", temperature=0)).text == ANSWER
            assert ask.engine.loaded == {"twin", "third"}

    async def test_one_with_work_stays_and_the_other_waits(
        self, make_engine: Callable[..., Any], entry: Entry, twin: Entry
    ) -> None:
        async with make_engine(2, twin, **limit(entry, 1.5)) as ask:
            long, other = await ask.work("Hi", **LONG), await ask.work(CAPITAL, model="twin", temperature=0)
            async with ask.engine.run(ask.job(long)) as first:
                await first.next()
                waiting = asyncio.create_task(ask.run(other))
                for _ in range(10):
                    await first.next()
                assert ask.engine.loaded == {"smollm2-135m-instruct"}
                assert (ask.engine.running, ask.engine.waiting) == (1, 1)
            assert (await waiting).text == ANSWER
            assert ask.engine.loaded == {"twin"}

    async def test_one_that_can_never_fit_is_refused(
        self, make_engine: Callable[..., Any], entry: Entry, twin: Entry
    ) -> None:
        giant = replace(twin, name="giant", aliases=(), bytes=100 * entry.bytes)
        async with make_engine(2, giant, **limit(entry, 1.5)) as ask:
            refused = await ask(CAPITAL, model="giant")
            assert isinstance(refused.error, Unavailable)
            assert "memory_limit" in refused.error.message
            assert (await ask(CAPITAL, temperature=0)).text == ANSWER

    async def test_too_large_a_request_that_came_before_its_model_is_refused(
        self, make_engine: Callable[..., Any], twin: Entry
    ) -> None:
        """What it costs is known only then, and it must not stand in the others' way for ever."""
        async with make_engine(2, twin, kv_bytes=1 << 26) as ask:
            works = [
                await ask.work(CAPITAL, model="twin", temperature=0, max_tokens=most)
                for most in (16, 6000, 16)
            ]
            small, large, other = await asyncio.wait_for(asyncio.gather(*map(ask.run, works)), 60)
            assert (small.text, other.text) == (ANSWER, ANSWER)
            assert large.error.code == "context_length_exceeded"

    async def test_what_is_kept_for_prompts_has_what_weights_leave(
        self, make_engine: Callable[..., Any], entry: Entry, twin: Entry
    ) -> None:
        """All models together: one that comes takes of it, and one that goes leaves nothing behind."""
        async with make_engine(2, twin, **limit(entry, 2.001)) as ask:
            prefixes = ask.engine._residents._prefixes
            await ask.run(await ask.work("word " * 100, temperature=0, max_tokens=2), "chat")
            assert prefixes.nbytes > 0.001 * entry.bytes
            await ask.run(await ask.work(CAPITAL, model="twin", temperature=0, max_tokens=2), "chat")
            assert prefixes.nbytes <= 0.001 * entry.bytes
        async with make_engine(2, twin, **limit(entry, 1.5)) as ask:
            prefixes = ask.engine._residents._prefixes
            for name in (None, "twin"):
                await ask.run(await ask.work(CAPITAL, model=name, temperature=0, max_tokens=2), "chat")
                assert {model for model, _ in prefixes._known} == ask.engine.loaded

    async def test_an_idle_model_leaves_and_comes_again(
        self, make_engine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left, unload = threading.Event(), Residents._unload

        def leave(residents: Residents, name: str) -> None:
            unload(residents, name)
            left.set()

        monkeypatch.setattr(Residents, "_unload", leave)
        async with make_engine(2, idle_unload=0.2) as ask:
            assert await asyncio.to_thread(left.wait, 20)
            assert not ask.engine.loaded
            assert (await ask(CAPITAL, temperature=0)).text == ANSWER
            assert ask.engine.loaded

    async def test_a_model_at_work_is_not_idle(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(2, idle_unload=0.01) as ask:
            answer = await ask(CAPITAL, temperature=0)
            assert answer.text == ANSWER


class TestFailure:
    async def test_one_that_does_not_load_is_unavailable_and_the_rest_lives(
        self, make_engine: Callable[..., Any], entry: Entry, tmp_path: Path
    ) -> None:
        folder = clone(entry.folder, tmp_path / "broken")
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(b"no weights at all")
        broken = Entry("broken", (), folder, context=8192, bytes=10)
        async with make_engine(2, broken) as ask:
            for _ in range(2):
                failed = await ask(CAPITAL, model="broken")
                assert isinstance(failed.error, Unavailable)
                assert (failed.error.code, failed.error.param) == ("model_unavailable", "model")
                assert failed.error.message == (
                    "The model `broken` cannot be loaded here; the worker's log says why."
                )
            assert (await ask(CAPITAL, temperature=0)).text == ANSWER

    async def test_one_that_is_known_to_be_faulty_says_why(
        self, make_engine: Callable[..., Any], tmp_path: Path
    ) -> None:
        faulty = Entry("faulty", (), tmp_path, fault="The model `faulty` is still being fetched.")
        async with make_engine(2, faulty) as ask:
            with pytest.raises(Unavailable, match="still being fetched"):
                await ask.work(CAPITAL, model="faulty")

    async def test_a_default_that_does_not_load_stops_the_start(
        self, make_engine: Callable[..., Any], entry: Entry, tmp_path: Path
    ) -> None:
        with pytest.raises(Unavailable, match="cannot be loaded"):
            async with make_engine(2, default=replace(entry, folder=tmp_path)):
                pass
