"""`POST /v1/completions` with OpenAI's SDK and over NATS: each field has its effect, or is refused by name."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from nats.aio.client import Client
from openai.types import Completion

from schemas.runtime import presence
from tests.e2e import sdk as chats
from tests.e2e.conftest import House
from tests.until import until

PARIS = "The capital of France is"
TOKENS = [504, 3575, 282, 4649, 314]
COUNTING = "One, two, three,"
ENDLESS = {"2": -100, "0": -100}


@pytest.fixture(scope="module")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with chats.client(house) as opened:
        yield opened


@pytest.fixture
async def nc(house: House) -> AsyncIterator[Client]:
    client = await house.connect("publisher")
    yield client
    await client.close()


def fields(**given: Any) -> dict[str, Any]:
    return {"model": "starter", "prompt": PARIS, "temperature": 0, "max_tokens": 6} | given


def ask(sdk: openai.OpenAI, **given: Any) -> Completion:
    found = sdk.completions.create(**fields(**given))
    assert isinstance(found, Completion)
    return found


def texts(completion: Completion) -> list[str]:
    return [choice.text for choice in completion.choices]


def streamed(sdk: openai.OpenAI, **given: Any) -> list[str]:
    """The text of each choice."""
    found: dict[int, str] = defaultdict(str)
    for chunk in sdk.completions.create(**fields(**given), stream=True):
        for choice in chunk.choices:
            found[choice.index] += choice.text
    return [found[at] for at in sorted(found)]


def refused(sdk: openai.OpenAI, **given: Any) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, **given)
    return caught.value


def usage(completion: Completion) -> tuple[int, int]:
    assert completion.usage is not None
    return completion.usage.prompt_tokens, completion.usage.completion_tokens


def test_a_text_goes_on(sdk: openai.OpenAI) -> None:
    answer = ask(sdk)
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert texts(answer)[0].startswith(" Paris.")
    assert usage(answer) == (5, 6)
    assert answer.choices[0].finish_reason == "length"


def test_tokens_say_what_their_text_says(sdk: openai.OpenAI) -> None:
    assert texts(ask(sdk, prompt=TOKENS)) == texts(ask(sdk))
    assert texts(ask(sdk, prompt=[TOKENS, TOKENS[:2]]))[0] == texts(ask(sdk))[0]


def test_several_prompts_have_their_choices_one_after_another(sdk: openai.OpenAI) -> None:
    seeded: dict[str, Any] = {"temperature": 1.2, "seed": 5, "n": 2}
    both = ask(sdk, prompt=[PARIS, COUNTING], **seeded)
    first, second = (ask(sdk, prompt=prompt, **seeded) for prompt in (PARIS, COUNTING))
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert texts(both) == texts(first) + texts(second)
    assert usage(both)[0] == usage(first)[0] + usage(second)[0]
    assert usage(both)[1] == usage(first)[1] + usage(second)[1]
    assert len(set(texts(both))) == 4


def test_a_stream_is_the_answer_in_pieces(sdk: openai.OpenAI) -> None:
    given: dict[str, Any] = {"prompt": [PARIS, COUNTING], "n": 2, "seed": 1, "temperature": 1}
    assert streamed(sdk, **given) == texts(ask(sdk, **given))


def test_usage_comes_last(sdk: openai.OpenAI) -> None:
    *chunks, last = sdk.completions.create(**fields(), stream=True, stream_options={"include_usage": True})
    assert not any(chunk.usage for chunk in chunks)
    assert last.choices == []
    assert usage(last) == (5, 6)


def test_it_has_16_tokens_where_nobody_says_more(sdk: openai.OpenAI) -> None:
    answer = sdk.completions.create(model="starter", prompt=COUNTING, temperature=0, logit_bias=ENDLESS)
    assert usage(answer)[1] == 16


def test_a_stop_string_ends_it(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, stop=["."])
    assert (texts(answer), answer.choices[0].finish_reason) == ([" Paris"], "stop")


@pytest.mark.parametrize(
    "settings",
    [
        {"logit_bias": {"7042": -100}},
        {"temperature": 2, "seed": 3},
        {"presence_penalty": 2, "frequency_penalty": 2, "max_tokens": 40},
        {"extra_body": {"repetition_penalty": 2.0}, "max_tokens": 40},
    ],
)
def test_sampling_has_its_effect(sdk: openai.OpenAI, settings: dict[str, Any]) -> None:
    assert texts(ask(sdk, **settings)) != texts(ask(sdk, max_tokens=settings.get("max_tokens", 6)))


@pytest.mark.parametrize("cut", [{"top_p": 0}, {"extra_body": {"top_k": 1}}, {"extra_body": {"min_p": 1}}])
def test_what_is_cut_to_the_likeliest_is_that(sdk: openai.OpenAI, cut: dict[str, Any]) -> None:
    assert texts(ask(sdk, temperature=2, **cut)) == texts(ask(sdk))


def test_logprobs_are_in_the_legacy_shape(sdk: openai.OpenAI) -> None:
    answer = ask(sdk, logprobs=2)
    found = answer.choices[0].logprobs
    assert (
        found is not None
        and found.tokens
        and found.text_offset
        and found.token_logprobs
        and found.top_logprobs
    )
    assert "".join(found.tokens) == texts(answer)[0]
    assert found.tokens[:2] == [" Paris", "."]
    assert found.text_offset[:3] == [0, 6, 7]
    assert {len(top) for top in found.top_logprobs} == {2}
    assert [
        top[token] for top, token in zip(found.top_logprobs, found.tokens, strict=True)
    ] == found.token_logprobs
    alone = ask(sdk, logprobs=0).choices[0].logprobs
    assert alone is not None and alone.top_logprobs is not None
    assert {len(top) for top in alone.top_logprobs} == {1}


def test_control_tokens_in_a_prompt_are_control_tokens(sdk: openai.OpenAI) -> None:
    """A prompt that is written as the model's template writes it is answered as a chat is."""
    [question] = chats.PARIS
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    prompt = (
        f"<|im_start|>system\n{system}<|im_end|>\n"
        f"<|im_start|>user\n{question['content']}<|im_end|>\n<|im_start|>assistant\n"
    )
    answer, chat = ask(sdk, prompt=prompt, max_tokens=12), chats.ask(sdk)
    assert texts(answer) == [chats.ANSWER]
    assert usage(answer) == chats.usage(chat)


@pytest.mark.parametrize("given", [{"echo": True}, {"suffix": "."}, {"best_of": 2}])
def test_what_is_not_supported_is_refused_by_name(sdk: openai.OpenAI, given: dict[str, Any]) -> None:
    error = refused(sdk, **given)
    assert (error.param, error.code) == (next(iter(given)), "unsupported_parameter")


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"prompt": [60_000]}, "prompt", "invalid_value"),
        ({"prompt": [5] * 9000}, "prompt", "context_length_exceeded"),
        ({"max_tokens": 9000}, "max_tokens", "context_length_exceeded"),
        ({"prompt": [PARIS, [5] * 9000]}, "prompt", "invalid_value"),
        ({"n": 100}, "n", "invalid_value"),
        ({"extra_body": {"messages": []}}, "messages", "unknown_parameter"),
    ],
)
def test_what_cannot_be_is_refused(sdk: openai.OpenAI, given: dict[str, Any], param: str, code: str) -> None:
    error = refused(sdk, **given)
    assert (error.param, error.code) == (param, code)


def test_a_stream_that_is_refused_is_refused_at_once(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        sdk.completions.create(**fields(echo=True), stream=True)


async def test_nats_gives_the_same(nc: Client, sdk: openai.OpenAI) -> None:
    for subject in ("llm.v1.completions", "llm.v1.completions.starter"):
        reply = await nc.request(subject, json.dumps(fields()).encode(), timeout=60)
        assert reply.headers and reply.headers["Llm-Finish"] == "length"
        assert reply.headers["Llm-Tokens"] == "11"
        assert (
            json.loads(reply.data)["choices"][0]["text"]
            == (await asyncio.to_thread(ask, sdk)).choices[0].text
        )


async def test_a_cancelled_one_ends_with_all_its_prompts(nc: Client, house: House) -> None:
    body = fields(prompt=[PARIS, COUNTING], max_tokens=4000, logit_bias=ENDLESS, stream=True)
    inbox = await nc.subscribe(nc.new_inbox())
    headers = {"Llm-Request-Id": "two-prompts"}
    await nc.publish("llm.v1.completions", json.dumps(body).encode(), reply=inbox.subject, headers=headers)
    seen: set[int] = set()
    while seen != {0, 1}:
        chunk = json.loads((await inbox.next_msg(60)).data)
        seen |= {choice["index"] for choice in chunk["choices"] if choice["text"]}
    await nc.publish("llm.v1.cancel.two-prompts", b"")
    while msg := await inbox.next_msg(10):
        if msg.headers and "Nats-Service-Error-Code" in msg.headers:
            break
    assert msg.headers["Nats-Service-Error-Code"] == "499"
    await idle(house)


async def idle(house: House) -> None:
    """No row is taken any more."""
    operator = await house.connect("operator")

    async def running() -> int:
        [worker] = await presence.workers(operator)
        return worker.running

    await until(running, 0)
    await operator.close()
