"""Several models in one worker, seen from outside: listed, asked by name, named by a recipe, one of them faulty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import House, opened

MODELS = {
    "twin": {"path": "starter", "aliases": ["gpt-4o"]},
    "broken": {"path": "/nowhere/at-all", "aliases": ["bad"]},
}
QUESTION: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = {"NATS_MLX_WORKER_MODELS": json.dumps(MODELS), "NATS_MLX_WORKER_PRESENCE_INTERVAL": "0.5"}
    with opened(tmp_path_factory.mktemp("many"), **settings) as house:
        yield house


@pytest.fixture(scope="module")
def sdk(many: House) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{many.bridge_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_what_can_be_served_is_listed(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["smollm2-135m-instruct", "twin"]
    assert sdk.models.retrieve("GPT-4o").id == "twin"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("broken")


def test_a_further_model_is_loaded_when_it_is_asked(many: House, sdk: openai.OpenAI) -> None:
    before = many.command("status", "--json")
    [worker] = json.loads(before.stdout)["workers"]
    assert [(card["name"], card["loaded"]) for card in worker["models"]] == [
        ("smollm2-135m-instruct", True),
        ("twin", False),
    ]
    rows = [line.split() for line in many.command("status").stdout.splitlines()]
    assert ["smollm2-135m-instruct", "starter", "yes"] in rows
    assert ["twin", "gpt-4o", "no"] in rows
    answer = sdk.chat.completions.create(model="gpt-4o", messages=QUESTION, temperature=0, max_tokens=16)
    assert answer.model == "twin"
    assert answer.choices[0].message.content == "The capital of France is Paris."


def test_a_faulty_model_is_unavailable_by_each_of_its_names(sdk: openai.OpenAI) -> None:
    for name in ("broken", "bad"):
        with pytest.raises(openai.InternalServerError) as caught:
            sdk.chat.completions.create(model=name, messages=QUESTION)
        assert (caught.value.status_code, caught.value.code) == (503, "model_unavailable")
        assert "/nowhere/at-all" in caught.value.message


async def test_a_recipe_chooses_its_model(many: House) -> None:
    nc = await many.connect("operator")
    js = nc.jetstream()
    bucket = await js.key_value("llm_recipes")
    coin = json.loads((await bucket.get("coin")).value or b"")
    await bucket.put("chosen", json.dumps(coin | {"model": "GPT-4o"}).encode())
    analyses = await nc.subscribe("analyses.*.*")
    await nc.flush()
    for recipe, model in (("chosen", "twin"), ("coin", "smollm2-135m-instruct")):
        await js.publish(f"articles.norm.{recipe}.m1", b'{"title":"Bitcoin rises","body":"By 5 percent."}')
        assert json.loads((await analyses.next_msg(100)).data)["model"] == model
    await nc.close()


async def test_an_article_for_a_faulty_model_waits_for_its_repair(many: House) -> None:
    nc = await many.connect("operator")
    js = nc.jetstream()
    bucket = await js.key_value("llm_recipes")
    coin = json.loads((await bucket.get("coin")).value or b"")
    await bucket.put("waiting", json.dumps(coin | {"model": "broken"}).encode())
    # Its consumer's acknowledgements: a nak asks for another delivery, a letter to the dead would be an ack.
    acks = await nc.subscribe("$JS.ACK.ARTICLES.articles-norm.>")
    await nc.flush()
    ours = (await js.publish("articles.norm.waiting.m1", b'{"title":"t","body":"b"}')).seq
    while (ack := await acks.next_msg(60)).subject.split(".")[5] != str(ours) or ack.data == b"+WPI":
        pass  # of an article before, or its worker is still at it
    assert ack.data.startswith(b"-NAK")
    await nc.close()
