"""Recipes while all runs: tried, put, changed and removed by the command, and the worker never restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from nats.js.errors import NotFoundError

from tests.e2e.conftest import House
from tests.e2e.test_articles import outcome_of

DATA = Path(__file__).parents[2] / "worker" / "data" / "recipes"
MOOD: dict[str, Any] = {
    "version": "1",
    "description": "Good or bad",
    "system": "Is the news good or bad?",
    "template": "{{ title }}: {{ body }}",
    "answer": {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    },
    "max_tokens": 64,
}
ARTICLE = '{"id":"r1","title":"Bitcoin rises","body":"It rose by 5 percent."}\n'


def written(folder: Path, **changes: Any) -> str:
    file = folder / "mood.json"
    file.write_text(json.dumps(MOOD | changes))
    return str(file)


async def test_it_holds_from_the_next_article_on(house: House, tmp_path: Path) -> None:
    put = await house.run("recipe", "put", "mood", written(tmp_path))
    assert put.stdout.startswith("mood: in force (version 1, revision "), put.stderr
    await house.run("publish", "-", "--recipe", "mood", stdin=ARTICLE)
    nc = await house.connect("operator")
    first = await outcome_of(nc, "mood", "r1")
    assert first["recipe_version"] == "1" and first["result"]["mood"] in ("good", "bad")

    good = MOOD["answer"] | {"properties": {"mood": {"enum": ["fine"]}}}
    again = await house.run("recipe", "put", "mood", written(tmp_path, version="2", answer=good))
    assert again.stderr == ""
    await house.run("publish", "-", "--recipe", "mood", stdin=ARTICLE.replace("r1", "r2"))
    second = await outcome_of(nc, "mood", "r2")
    assert (second["recipe_version"], second["result"]) == ("2", {"mood": "fine"})

    silent = await house.run("recipe", "put", "mood", written(tmp_path, version="2"))
    assert silent.stderr.startswith("The text before it was version 2 too")

    assert (await house.run("recipe", "rm", "mood")).stdout == "mood: removed\n"
    dead = await house.run("publish", "-", "--recipe", "mood", "--wait", stdin=ARTICLE.replace("r1", "r3"))
    assert dead.stderr == "r3: dead: There is no recipe `mood`.\n"
    await nc.close()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"template": "{{ title"}, "template is not valid Jinja"),
        ({"template": "{{ titel }}"}, "'titel' is undefined"),
        ({"answer": {"type": "nonsense"}}, "answer is not a JSON Schema"),
        ({"answer": {"type": "object", "unevaluatedProperties": False}}, "unevaluatedProperties"),
        ({"colour": 1}, "colour: Extra inputs are not permitted"),
        ({"model": "no-such-model"}, "No worker serves the recipe's model `no-such-model`"),
        ({"max_tokens": 100_000}, "This model's maximum context length is"),
    ],
)
async def test_what_cannot_be_used_is_not_put(
    house: House, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    file = written(tmp_path, **changes)
    put = await house.run("recipe", "put", "wrong", file)
    assert (put.returncode, put.stdout) == (1, "")
    assert put.stderr.startswith("error: ") and why in put.stderr
    assert put.stderr.count("\n") == 1
    nc = await house.connect("operator")
    with pytest.raises(NotFoundError):
        await (await nc.jetstream().key_value("llm_recipes")).get("wrong")
    await nc.close()


async def test_a_trial_shows_everything_and_stores_nothing(house: House, tmp_path: Path) -> None:
    articles = tmp_path / "some.jsonl"
    articles.write_text(ARTICLE.replace("r1", "trial") + '{"title":1}\n')
    ran = await house.run(
        "recipe", "test", written(tmp_path, version="9"), "--article", str(articles), "--json"
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"{articles}:2: Invalid value for `title`")
    [line] = map(json.loads, ran.stdout.splitlines())
    assert (line["id"], line["version"], line["model"]) == ("trial", "9", "smollm2-135m-instruct")
    assert "<|im_start|>user\nBitcoin rises: It rose by 5 percent.<|im_end|>" in line["prompt"]
    assert 0 < line["head_tokens"] < line["prompt_tokens"] and line["completion_tokens"] > 0
    jsonschema.validate(line["answer"], MOOD["answer"])
    people = await house.run("recipe", "test", written(tmp_path), "--article", str(articles))
    assert f"--- trial: prompt, {line['prompt_tokens']} tokens" in people.stdout
    assert json.dumps(line["answer"]) in people.stdout
    nc = await house.connect("operator")
    with pytest.raises(NotFoundError):
        await nc.jetstream().get_last_msg("ANALYSES", "analyses.*.trial")
    assert "mood" not in (await house.run("recipe", "ls")).stdout
    await nc.close()


async def test_an_answer_that_is_cut_is_told(house: House, tmp_path: Path) -> None:
    articles = tmp_path / "one.jsonl"
    articles.write_text(ARTICLE)
    ran = await house.run("recipe", "test", written(tmp_path, max_tokens=2), "--article", str(articles))
    assert ran.returncode == 1
    assert ran.stderr == "r1: the answer did not end within 2 tokens: raise `max_tokens`.\n"


@pytest.mark.parametrize("name", ["summary", "translate-ko"])
async def test_what_ships_is_in_force_and_answers(house: House, tmp_path: Path, name: str) -> None:
    recipe = json.loads((DATA / f"{name}.json").read_text())
    nc = await house.connect("operator")
    kept = await (await nc.jetstream().key_value("llm_recipes")).get(name)
    assert json.loads(kept.value or b"") == recipe
    await nc.close()
    answer = recipe["answer"]["properties"]
    for field in answer.values():  # a small model does not know when to stop
        field.update({"maxItems": 1} if field["type"] == "array" else {"maxLength": 20})
    file, articles = tmp_path / "short.json", tmp_path / "one.jsonl"
    file.write_text(json.dumps(recipe))
    articles.write_text(ARTICLE)
    ran = await house.run("recipe", "test", str(file), "--article", str(articles), "--json")
    assert ran.returncode == 0, ran.stderr
    jsonschema.validate(json.loads(ran.stdout)["answer"], recipe["answer"])
