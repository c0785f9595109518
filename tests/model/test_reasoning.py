"""A model that thinks before it answers: its thoughts are told apart, and a grammar waits until they are over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from folders import thinker

from schemas.chat import JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.tools import FunctionDefinition, Tool
from worker.engine.catalog import Entry
from worker.jobs import Thought

QUESTION = "What is the capital of France?"
ANSWER = JsonSchemaFormat(JsonSchema(name="a", schema={"enum": ["Paris", "London"]}))


@pytest_asyncio.fixture(scope="module")
async def ask(
    make_engine: Callable[..., Any], entry: Entry, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Any]:
    folder = thinker(entry.folder, tmp_path_factory.mktemp("models") / "thinker")
    thinking = Entry("thinker", (), folder, context=8192, bytes=entry.bytes, preload=True)
    async with make_engine(4, default=thinking) as asker:
        yield asker


@pytest.fixture(scope="module")
def soon(ask: Any) -> dict[str, float]:
    """A bias that has this untrained thinker end its thoughts after a few tokens."""
    [end] = ask.engine._models.find(None).tokenizer.think_end_tokens
    return {str(end): 20.0}


async def test_thoughts_are_no_content(ask: Any) -> None:
    answer = await ask(QUESTION, temperature=0, max_tokens=8)
    [choice] = answer.choices
    assert choice.thoughts
    assert choice.text == ""
    usage = answer.done.usage
    assert usage.completion_tokens_details.reasoning_tokens == usage.completion_tokens == 8


async def test_what_follows_them_is(ask: Any, soon: dict[str, float]) -> None:
    answer = await ask(QUESTION, temperature=0, max_tokens=24, logit_bias=soon, logprobs=True)
    [choice] = answer.choices
    assert choice.thoughts
    assert "think>" not in choice.thoughts
    assert choice.text.startswith("</think>"), "the mark counts once; drawn again it is text"
    thought = answer.done.usage.completion_tokens_details.reasoning_tokens
    assert 1 < thought < 24
    assert len(choice.logprobs) == 24 - thought


async def test_a_grammar_begins_after_them(ask: Any, soon: dict[str, float]) -> None:
    work = await ask.work(QUESTION, temperature=0, max_tokens=24, logit_bias=soon, response_format=ANSWER)
    answer = await ask.run(work)
    [choice] = answer.choices
    assert choice.thoughts
    assert json.loads(choice.text) in ("Paris", "London")
    assert choice.finish == "stop"


async def test_no_end_before_the_answer_that_was_asked_for(ask: Any) -> None:
    """Left alone, it stops in its thoughts; with a schema that would be an answer which does not validate."""
    free = await ask(QUESTION, temperature=0, max_tokens=40)
    assert (free.choices[0].finish, free.text) == ("stop", "")
    held = await ask(QUESTION, temperature=0, max_tokens=40, response_format=ANSWER)
    assert held.choices[0].finish == "length" or json.loads(held.text)


async def test_a_forced_call_comes_after_them(ask: Any, soon: dict[str, float]) -> None:
    tools = [Tool(FunctionDefinition("look"))]
    answer = await ask(
        QUESTION, temperature=0, max_tokens=60, logit_bias=soon, tools=tools, tool_choice="required",
        parallel_tool_calls=False,
    )  # fmt: skip
    [choice] = answer.choices
    assert choice.thoughts
    assert [(name, arguments) for _, name, arguments in choice.calls] == [("look", "{}")]
    assert choice.finish == "tool_calls"


@pytest.mark.parametrize(
    "field", [{"reasoning_effort": "none"}, {"chat_template_kwargs": {"enable_thinking": False}}]
)
async def test_it_can_be_told_not_to_think(ask: Any, field: dict[str, Any]) -> None:
    work = await ask.work(QUESTION, temperature=0, max_tokens=10, **field)
    async with ask.engine.run(ask.job(work)) as run:
        assert not isinstance(await run.next(), Thought)
    assert (await ask.run(work)).text == "The capital of France is Paris."


async def test_a_model_that_does_not_think_refuses(make_engine: Callable[..., Any]) -> None:
    async with make_engine(1) as plain:
        with pytest.raises(BadRequest) as caught:
            await plain.work(QUESTION, reasoning_effort="high")
        assert caught.value.param == "reasoning_effort"
