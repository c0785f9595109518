"""What people write into `llm_recipes`, given anything: a recipe that asks, or a BadRequest that says what is wrong."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.articles import Article
from schemas.chat import ChatRequest
from schemas.errors import BadRequest
from tests.unit.schemas.test_codec import json_values
from worker.recipes import Recipe, built_in, parse

GOOD = json.loads(built_in("coin"))
ARTICLE = Article(title="t", body="b")
near_recipes = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*Recipe.model_fields, "unknown"], json_values)
).map(lambda fields: GOOD | fields)
# Pieces of Jinja make more of it than letters do.
pieces = (
    "{{ }} {% %} {# #} title body meta | . ( ) [ ] , : = ' \" ~ + - * / // % ** < > == not in is if else endif for "
    "endfor set block macro import include extends loop range(9) self None True 1 9e999 \\ \n format(1) attr join"
).split(" ")
templates = st.lists(st.sampled_from(pieces), max_size=12).map(" ".join)


def recipe_or_bad_request(payload: bytes) -> Recipe | None:
    try:
        return parse(payload)
    except BadRequest as error:
        assert error.code == "bad_recipe"
        assert error.message.startswith("The recipe is not valid: ")
        assert "\n" not in error.message
        return None


@given(st.binary(max_size=100) | json_values.map(json.dumps).map(str.encode))
def test_any_bytes_and_any_json(payload: bytes) -> None:
    recipe_or_bad_request(payload)


@given(near_recipes)
def test_what_looks_like_a_recipe(value: object) -> None:
    recipe = recipe_or_bad_request(json.dumps(value).encode())
    if recipe is not None:
        assert parse(recipe.model_dump_json().encode()) == recipe


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_a_schema_nested_too_deeply(depth: int) -> None:
    schema = '{"items":' * depth + "{}" + "}" * depth
    text = json.dumps(GOOD | {"answer": "HERE"}).replace('"HERE"', schema)
    recipe = recipe_or_bad_request(text.encode())
    assert recipe is None or depth < 1000


@given(templates)
@example("{{ title.__class__.__mro__ }}")
@example("{{ 1 // 0 }}")
@example("{{ title(True=1) }}")
@example("{% include 'x' %}")
@example("{{ " + "(" * 500 + " }}")
@example("{{ " + "-" * 5000 + "1 }}")
@example("{{ 9 ** 9 ** 9 ** 0 }}")
def test_any_template_asks_or_is_refused(template: str) -> None:
    recipe = recipe_or_bad_request(json.dumps(GOOD | {"template": template}).encode())
    if recipe is None:
        return
    try:
        assert isinstance(recipe.request(ARTICLE), ChatRequest)
    except BadRequest as error:
        assert error.code == "bad_recipe"


@given(st.text(max_size=60) | json_values.map(json.dumps))
@example("[" * 100_000)
@example("9" * 10_000)
def test_any_answer_is_a_result_or_a_value_error(text: str) -> None:
    recipe = parse(json.dumps(GOOD).encode())
    with contextlib.suppress(ValueError):
        recipe.result(text)
