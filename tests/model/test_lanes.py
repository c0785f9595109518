"""Two lanes on one engine: chat comes first, articles lose nothing, and what was computed before is used again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from schemas.messages import AssistantMessage, UserMessage
from worker.engine import pace
from worker.engine.cost import measure
from worker.engine.decode import Held
from worker.engine.prefill import Prompt
from worker.jobs import Text

STORY = "Tell me a story about a fox."
CAPITAL = "What is the capital of France?"
LONG = {"temperature": 0, "max_tokens": 500, "logit_bias": {"0": -100, "2": -100}}  # no end of its own


class TestAside:
    @pytest.mark.parametrize("overlap", [False, True])
    async def test_an_article_makes_way_and_goes_on_as_if_nothing_had_been(
        self, make_engine: Callable[..., Any], net: Any, overlap: bool
    ) -> None:
        fields = {"temperature": 1.0, "seed": 3, "max_tokens": 30, "logprobs": True, "frequency_penalty": 0.5}
        async with make_engine(1, bulk_share=0, overlap=overlap) as ask:
            alone = await ask(STORY, **fields)
            article, chat = await ask.work(STORY, **fields), await ask.work(CAPITAL, temperature=0, n=2)
            before, held = ask.engine.counters.copy(), []
            batch = ask.batch
            real = batch._decoder.hold

            def hold(job_id: str) -> Held:
                job = real(job_id)
                held.append((job.nbytes, job.widths))
                return job

            batch._decoder.hold = hold
            running = asyncio.create_task(ask.run(article, "norm"))
            while not batch._decoder.rows:
                await asyncio.sleep(0)
            answer = await ask.run(chat, "chat")  # needs both rows
            again = await running
        assert [choice.text for choice in answer.choices] == ["The capital of France is Paris."] * 2
        [(size, [width])] = held
        assert size <= measure(net).alone(width)
        assert again.text == alone.text
        assert again.choices[0].logprobs == alone.choices[0].logprobs
        computed = ask.engine.counters.prompt_tokens - before.prompt_tokens
        assert computed <= len(article.prompt) + len(chat.prompt)
        assert ask.engine.counters.decode_tokens - before.decode_tokens == 30 + 2 * 7

    async def test_a_prompt_on_its_way_makes_way_too(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(1, bulk_share=0) as ask:
            article = await ask.work("word " * 1000, temperature=0, max_tokens=2)
            chat = await ask.work(CAPITAL, temperature=0, n=2)
            running = asyncio.create_task(ask.run(article, "norm"))
            while not ask.batch.prompting:
                await asyncio.sleep(0)
            assert (await ask.run(chat, "chat")).text == "The capital of France is Paris."
            assert not running.done()
            assert (await running).done.usage.prompt_tokens == len(article.prompt)

    async def test_nobody_makes_way_whose_own_state_leaves_no_room(
        self, make_engine: Callable[..., Any], net: Any
    ) -> None:
        """Alone the chat has room, but not beside what the article holds when it waits."""
        async with make_engine(2, bulk_share=0) as ask:
            article = await ask.work("word " * 400, **(LONG | {"max_tokens": 60}))
            chat = await ask.work(CAPITAL, temperature=0, max_tokens=500)
        cost = measure(net)
        budget = cost(1, chat.width) + cost.alone(len(article.prompt) // 2)
        async with make_engine(2, bulk_share=0, kv_bytes=budget) as ask:
            running = asyncio.create_task(ask.run(article, "norm"))
            while not ask.batch._decoder.rows:
                await asyncio.sleep(0)
            assert not running.done()
            with patch.object(ask.batch, "set_aside") as set_aside:
                assert (await ask.run(chat, "chat")).text == "The capital of France is Paris."
            set_aside.assert_not_called()
            assert (await running).done.usage.completion_tokens == 60

    async def test_one_that_was_set_aside_can_be_cancelled(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(1, bulk_share=0) as ask:
            article, chat = await ask.work(STORY, **LONG), await ask.work(STORY, n=2, **LONG)
            async with ask.engine.run(ask.job(article)) as first:
                assert isinstance(await first.next(), Text)
                async with ask.engine.run(ask.job(chat, "chat")) as second:
                    assert isinstance(await second.next(), Text)
                    assert ask.batch._aside
            await ask.idle()


class TestFirstToken:
    """What a reader waits for: the prompt, and nothing else."""

    async def test_articles_are_not_decoded_before_it(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(4, bulk_share=0.1, overlap=False) as ask:
            chat = await ask.work(CAPITAL, temperature=0, max_tokens=1)
            async with AsyncExitStack() as articles:
                for _ in range(3):
                    work = await ask.work(STORY, **LONG)
                    article = await articles.enter_async_context(ask.engine.run(ask.job(work)))
                    assert isinstance(await article.next(), Text)
                with noted(ask.batch) as steps:
                    assert (await ask.run(chat, "chat")).text == "The"
        since = steps[steps.index("insert") + 1 :]
        assert since[: since.index("begin")] == []

    async def test_a_long_prompt_of_chat_leaves_articles_their_share(
        self, make_engine: Callable[..., Any]
    ) -> None:
        async with make_engine(4, bulk_share=0.5, overlap=False) as ask:
            chat = await ask.work("word " * 800, temperature=0, max_tokens=1)
            async with ask.engine.run(ask.job(await ask.work(STORY, **LONG))) as article:
                assert isinstance(await article.next(), Text)
                with noted(ask.batch) as steps:
                    await ask.run(chat, "chat")
        since = steps[steps.index("insert") + 1 :]
        assert since[: since.index("begin")] == ["step"] * 3  # each 128 / 0.5 tokens

    async def test_articles_take_shorter_steps_while_there_is_chat(
        self, make_engine: Callable[..., Any]
    ) -> None:
        real, chunks = Prompt.compute, []

        def compute(prompt: Prompt, chunk: int) -> int:
            chunks.append(chunk)
            return real(prompt, chunk)

        async with make_engine(4) as ask:
            # The next one comes in time, however slow the machine.
            with patch.object(Prompt, "compute", compute), patch.object(pace, "LIVE", math.inf):
                article = await ask.work("word " * 100, temperature=0, max_tokens=1)
                await ask.run(article)
                assert set(chunks) == {64}
                await ask.run(await ask.work(CAPITAL, max_tokens=1), "chat")
                chunks.clear()
                await ask.run(await ask.work("fish " * 100, temperature=0, max_tokens=1))
                assert set(chunks) == {32}


@contextmanager
def noted(batch: Any) -> Iterator[list[str]]:
    """The order in which a batch takes up prompts, decodes, and draws first tokens."""
    steps: list[str] = []
    with ExitStack() as wrapped:
        for owner, name in ((batch, "insert"), (batch._decoder, "step"), (batch._decoder, "begin")):
            call = partial(_call, getattr(owner, name), steps, name)
            wrapped.enter_context(patch.object(owner, name, call))
        yield steps


def _call(real: Callable[..., Any], steps: list[str], name: str, *given: Any) -> Any:
    steps.append(name)
    return real(*given)


class TestTurns:
    @pytest.mark.parametrize("overlap", [False, True])
    async def test_a_conversation_goes_on_from_its_last_answer(
        self, make_engine: Callable[..., Any], overlap: bool
    ) -> None:
        """In either order of steps just what was computed is kept: a token more or less would change the answer."""
        async with make_engine(2, overlap=overlap) as ask:
            first = [UserMessage(content=CAPITAL)]
            for question in ("And of Italy?", "And of Spain?"):
                answer = await ask.run(await ask.work(messages=first, temperature=0, max_tokens=20), "chat")
                first += [AssistantMessage(content=answer.text), UserMessage(content=question)]
            work = await ask.work(messages=first, temperature=0, max_tokens=20)
            known = await ask.run(work, "chat")
        assert known.done.usage.prompt_tokens_details.cached_tokens > len(work.prompt) - 20
        async with make_engine(2, prefix_bytes=0) as ask:
            assert known.text == (await ask.run(work)).text

    async def test_a_conversation_finds_its_earlier_turns(self, ask: Any) -> None:
        first = [UserMessage(content=f"{STORY} It has a red coat.")]
        work = await ask.work(messages=first, temperature=0, max_tokens=20)
        answer = await ask.run(work, "chat")
        turns = [*first, AssistantMessage(content=answer.text), UserMessage(content="And then?")]
        again = await ask.work(messages=turns, temperature=0, max_tokens=8)
        following = await ask.run(again, "chat")
        cached = following.done.usage.prompt_tokens_details.cached_tokens
        assert cached >= len(work.prompt) + 18
        assert following.text == (await ask.run(again, "norm")).text

    async def test_chats_that_begin_alike_share_what_is_computed(self, ask: Any) -> None:
        system = "You know all about the sea, its fish and its ships. " * 6
        works = [
            await ask.work(system + text, temperature=0, max_tokens=4) for text in ("Cod?", "Tuna?", "Eel?")
        ]
        answers = await asyncio.gather(*(ask.run(work, "chat") for work in works))
        cached = [answer.done.usage.prompt_tokens_details.cached_tokens for answer in answers]
        assert cached[0] < 30  # the template begins with a system text of its own
        assert min(cached[1:]) > 90

    async def test_the_same_prompt_again_computes_next_to_nothing(self, ask: Any) -> None:
        work = await ask.work("A question that nobody asked before: why is the sea blue?", temperature=0)
        first = await ask.run(work, "chat")
        again = await ask.run(work, "chat")
        assert again.text == first.text
        assert again.done.usage.prompt_tokens_details.cached_tokens == len(work.prompt) - 1


class TestOrder:
    async def test_chat_overtakes_a_long_prompt(self, make_engine: Callable[..., Any]) -> None:
        async with make_engine(4, bulk_share=0) as ask:
            long, chat = await ask.work("word " * 1500, temperature=0), await ask.work(CAPITAL, temperature=0)
            running = asyncio.create_task(ask.run(long, "norm"))
            while not ask.batch.prompting:
                await asyncio.sleep(0)
            assert (await ask.run(chat, "chat")).text == "The capital of France is Paris."
            assert ask.batch.prompting
            running.cancel()

    @pytest.mark.parametrize("share", [0.2, 0.5])
    async def test_an_article_has_its_share_of_what_is_computed_of_prompts(
        self, make_engine: Callable[..., Any], share: float
    ) -> None:
        real, chunks = Prompt.compute, list[tuple[int, int]]()

        def compute(prompt: Prompt, chunk: int) -> int:
            computed = real(prompt, chunk)
            chunks.append((len(prompt._tokens), computed))
            return computed

        async with make_engine(4, bulk_share=share) as ask:
            article = await ask.work("word " * 1200, temperature=0, max_tokens=1)
            chat = await ask.work("fish " * 700, temperature=0, max_tokens=1)
            running = asyncio.create_task(ask.run(article, "norm"))
            while not ask.batch.prompting:
                await asyncio.sleep(0)
            with patch.object(Prompt, "compute", compute):
                await ask.run(chat, "chat")
            running.cancel()
        first, *_, last = [at for at, (length, _) in enumerate(chunks) if length == len(chat.prompt)]
        both = chunks[first : last + 1]
        mine = sum(computed for length, computed in both if length == len(article.prompt))
        assert mine / sum(computed for _, computed in both) == pytest.approx(share, abs=0.05)

    async def test_articles_get_on_however_much_chat_there_is(self, make_engine: Callable[..., Any]) -> None:
        """Chats with long prompts come without end; the article's prompt has its share of the chunks."""
        async with make_engine(4, bulk_share=0.3) as ask:
            article = await ask.work("word " * 300, temperature=0, max_tokens=2)
            running = asyncio.create_task(ask.run(article, "norm"))

            async def chatter(number: int) -> None:
                while not running.done():
                    work = await ask.work(
                        f"{number} {len(asyncio.all_tasks())} " + "fish " * 400, max_tokens=1
                    )
                    await ask.run(work, "chat")

            async with asyncio.timeout(200), asyncio.TaskGroup() as tasks:
                for number in range(3):
                    tasks.create_task(chatter(number))
            assert (await running).done
