"""Chat as strangers do it: plain nats-py and the official openai SDK, with nothing of ours imported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import openai
import pytest
from mlx_lm import load
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.e2e.conftest import House
from worker.engine import starter
from worker.settings import Settings

PARIS = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
async def nc(house: House) -> AsyncIterator[Client]:
    client = await house.connect("publisher")
    yield client
    await client.close()


@pytest.fixture(scope="module")
def sdk(house: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{house.bridge_url}/v1", api_key="none", max_retries=0)


async def ask(nc: Client, body: object, **headers: str) -> Msg:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await nc.request("llm.v1.chat", payload, timeout=60, headers=headers or None)


async def listen(nc: Client, body: dict[str, object]) -> AsyncIterator[Msg]:
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    await nc.publish("llm.v1.chat", json.dumps(body).encode(), reply=inbox)
    while True:
        msg = await subscription.next_msg(60)
        yield msg
        if not msg.data:
            await subscription.unsubscribe()
            return


async def test_a_plain_request_is_answered(nc: Client) -> None:
    reply = await ask(nc, {"messages": PARIS, "temperature": 0}, **{"Llm-Request-Id": "mine-1"})
    answer = json.loads(reply.data)
    assert answer["choices"][0]["message"] == {
        "content": "The capital of France is Paris.",
        "role": "assistant",
        "refusal": None,
    }
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert reply.headers == {"Llm-Request-Id": "mine-1", "Llm-Finish": "stop", "Llm-Tokens": "44"}


async def test_a_stream_is_numbered_and_ends_empty(nc: Client) -> None:
    body = {"messages": PARIS, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    msgs = [msg async for msg in listen(nc, body)]
    assert [msg.headers["Llm-Seq"] for msg in msgs if msg.headers] == [str(n + 1) for n in range(len(msgs))]
    chunks = [json.loads(msg.data) for msg in msgs[:-1]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text == "The capital of France is Paris."
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 7
    assert all("usage" in chunk for chunk in chunks)
    assert msgs[-1].data == b"" and msgs[-1].headers and msgs[-1].headers["Llm-Finish"] == "stop"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{not json", "400", None),
        ({"messages": []}, "400", "messages"),
        ({"messages": PARIS, "max_tokens": -1}, "400", "max_tokens"),
        ({"messages": PARIS, "max_tokens": "many"}, "400", "max_tokens"),
        ({"messages": PARIS, "surprise": 1}, "400", "surprise"),
        ({"messages": PARIS, "functions": []}, "400", "functions"),
        ({"messages": PARIS, "model": "no-such-model"}, "404", "model"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, "400", "messages"),
        ({"messages": PARIS, "logit_bias": {"49152": 1}}, "400", "logit_bias"),
    ],
)
async def test_bad_requests_are_told_what_is_wrong(
    nc: Client, body: object, code: str, param: str | None
) -> None:
    reply = await ask(nc, body)
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error-Code"] == code
    error = json.loads(reply.data)["error"]
    assert error["param"] == param
    assert reply.headers["Nats-Service-Error"] == error["message"]
    assert "Traceback" not in error["message"]


async def test_an_error_of_a_stream_ends_it_too(nc: Client) -> None:
    msgs = [msg async for msg in listen(nc, {"messages": [], "stream": True})]
    assert json.loads(msgs[0].data)["error"]["param"] == "messages"
    assert [msg.headers and msg.headers["Nats-Service-Error-Code"] for msg in msgs] == ["400", "400"]


async def test_a_cancelled_request_ends_at_once(nc: Client) -> None:
    body = {"messages": PARIS, "stream": True, "max_tokens": 4000, "logit_bias": {"2": -100, "0": -100}}
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    headers = {"Llm-Request-Id": "to-cancel"}
    await nc.publish("llm.v1.chat", json.dumps(body).encode(), reply=inbox, headers=headers)
    first = await subscription.next_msg(60)
    assert first.headers and first.headers["Llm-Seq"] == "1"
    await nc.publish("llm.v1.cancel.to-cancel", b"")
    while msg := await subscription.next_msg(10):
        if msg.headers and "Nats-Service-Error-Code" in msg.headers:
            break
    assert msg.headers["Nats-Service-Error-Code"] == "499"


async def test_a_request_that_is_cancelled_before_it_runs_never_runs(nc: Client) -> None:
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    body = {"messages": [{"role": "user", "content": "word " * 5000}], "max_tokens": 1000}
    headers = {"Llm-Request-Id": "early"}
    await nc.publish("llm.v1.chat", json.dumps(body).encode(), reply=inbox, headers=headers)
    await nc.publish("llm.v1.cancel.early", b"")
    reply = await subscription.next_msg(20)
    assert reply.headers and reply.headers["Nats-Service-Error-Code"] == "499"


async def test_a_request_without_an_inbox_hurts_nobody(nc: Client) -> None:
    await nc.publish("llm.v1.chat", json.dumps({"messages": PARIS}).encode())
    assert (await ask(nc, {"messages": PARIS, "max_tokens": 2})).headers


async def test_a_stream_whose_reader_is_gone_is_dropped(nc: Client, house: House) -> None:
    body = {"messages": PARIS, "stream": True, "max_tokens": 4000, "logit_bias": {"2": -100, "0": -100}}
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    await nc.publish("llm.v1.chat", json.dumps(body).encode(), reply=inbox)
    await subscription.next_msg(20)
    await subscription.unsubscribe()
    log = house.data_dir / "logs" / "worker.log"
    async with asyncio.timeout(30):  # the grace of five seconds, and a step
        while "inbox is gone" not in log.read_text():
            await ask(nc, {"messages": PARIS, "max_tokens": 1})


async def test_a_passed_deadline_is_a_504(nc: Client) -> None:
    reply = await ask(nc, {"messages": PARIS}, **{"Llm-Deadline": "2020-01-01T00:00:00Z"})
    assert reply.headers and reply.headers["Nats-Service-Error-Code"] == "504"


async def test_the_service_shows_itself(house: House) -> None:
    nc = await house.connect("operator")
    info = json.loads((await nc.request("$SRV.INFO.llm", b"")).data)
    assert info["description"]
    assert {endpoint["subject"] for endpoint in info["endpoints"]} == {
        f"llm.v1.{what}{model}"
        for what in ("chat", "completions", "recipe")
        for model in ("", ".starter", ".smollm2-135m-instruct")
    }
    schema = json.loads(info["endpoints"][0]["metadata"]["request_schema"])
    assert "messages" in json.dumps(schema)
    before = json.loads((await nc.request("$SRV.STATS.llm", b"")).data)["endpoints"][0]
    await ask(nc, {"messages": PARIS, "max_tokens": 3})
    await ask(nc, {"messages": []})
    after = json.loads((await nc.request("$SRV.STATS.llm", b"")).data)["endpoints"][0]
    assert after["num_requests"] - before["num_requests"] == 2
    assert after["num_errors"] - before["num_errors"] == 1
    # The time of the answer, not of its dispatch: three tokens take tens of milliseconds here.
    assert after["processing_time"] - before["processing_time"] > 10_000_000
    await nc.close()


def test_openai_sdk_gets_a_completion(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="starter", messages=PARIS, temperature=0)
    text = answer.choices[0].message.content
    assert text == "The capital of France is Paris."
    _, tokenizer = load(str(starter.path(Settings().cache_dir)), lazy=True)
    prompt = tokenizer.apply_chat_template(PARIS, add_generation_prompt=True)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(prompt)
    assert answer.usage.completion_tokens == len(tokenizer.encode(text, add_special_tokens=False))


def test_openai_sdk_gets_a_stream(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(model="starter", messages=PARIS, temperature=0, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream) == "The capital of France is Paris."


def test_openai_sdk_sees_the_errors_it_knows(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.chat.completions.create(model="no-such-model", messages=PARIS)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(model="starter", messages=[])
    assert refused.value.param == "messages"
    with pytest.raises(openai.APIStatusError) as large:
        sdk.chat.completions.create(model="starter", messages=[{"role": "user", "content": "x" * 2_000_000}])
    assert large.value.status_code == 413
    assert [model.id for model in sdk.models.list()] == ["smollm2-135m-instruct"]


def test_a_deadline_holds_over_http_too(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as late:
        sdk.chat.completions.create(
            model="starter", messages=PARIS, extra_headers={"Llm-Deadline": "2020-01-01T00:00:00Z"}
        )
    assert late.value.status_code == 504


async def test_chats_at_once_answer_as_alone(nc: Client) -> None:
    questions = ["What is 2 + 2?", "Name a colour.", "Say hello in French.", "What is the capital of Italy?"]
    bodies = [
        {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 12}
        for question in questions
    ]
    together = await asyncio.gather(*(ask(nc, body) for body in bodies))
    alone = [await ask(nc, body) for body in bodies]
    assert [json.loads(r.data)["choices"] for r in together] == [json.loads(r.data)["choices"] for r in alone]
