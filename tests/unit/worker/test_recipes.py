"""Recipes as people write them: what is wrong is said in one sentence, what is right becomes a request."""

import datetime as dt
import json
from importlib import resources
from typing import Any

import pytest

from schemas.articles import Article
from schemas.chat import JsonSchema, JsonSchemaFormat
from schemas.codec import encode
from schemas.errors import BadRequest
from schemas.messages import SystemMessage, UserMessage
from worker.recipes import BUILT_IN, Recipe, built_in, parse

ARTICLE = Article(title="Bitcoin rises", body="It rose by 5 percent.")
MINIMAL: dict[str, Any] = {
    "version": "1",
    "system": "Answer.",
    "template": "{{ title }}",
    "answer": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
}


def recipe(**fields: Any) -> Recipe:
    return parse(json.dumps(MINIMAL | fields).encode())


def refusal(payload: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        parse(payload)
    message = caught.value.message
    assert caught.value.code == "bad_recipe"
    assert message.startswith("The recipe is not valid: ")
    assert message.endswith(".")
    assert "\n" not in message
    assert not message.endswith("..")
    return message


def wrong(**fields: Any) -> str:
    return refusal(json.dumps(MINIMAL | fields).encode())


def asked(recipe: Recipe, article: Article = ARTICLE) -> str:
    message = recipe.request(article).messages[1]
    assert isinstance(message.content, str)
    return message.content


class TestBuiltIn:
    def test_what_ships_is_what_is_listed(self) -> None:
        files = {entry.name for entry in resources.files("worker").joinpath("data", "recipes").iterdir()}
        assert files == {f"{name}.json" for name in BUILT_IN}

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_each_is_valid_and_fully_understood(self, name: str) -> None:
        parsed = parse(built_in(name))
        written = json.loads(built_in(name))
        assert written == parsed.model_dump(include=set(written), exclude_unset=True)

    def test_coin_asks_for_what_the_contract_names(self) -> None:
        answer = parse(built_in("coin")).answer
        assert set(answer["properties"]) == {"sentiment", "coins", "importance", "summary", "confidence"}
        assert answer["required"] == list(answer["properties"])
        assert set(answer["properties"]["sentiment"]["enum"]) == {"bullish", "bearish", "neutral"}
        importance = answer["properties"]["importance"]
        assert (importance["type"], importance["minimum"], importance["maximum"]) == ("integer", 1, 5)

    def test_coin_renders_an_article_with_everything(self) -> None:
        moment = dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)
        article = Article(
            title="제목", body="본문", source="CoinDesk", published_at=moment, url="u", lang="ko"
        )
        assert asked(parse(built_in("coin")), article) == (
            "Title: 제목\nSource: CoinDesk\nDate: 2026-01-02\n\n본문\n\nAnswer with the JSON object only."
        )

    def test_coin_renders_an_article_with_the_least(self) -> None:
        assert asked(parse(built_in("coin"))) == (
            "Title: Bitcoin rises\n\nIt rose by 5 percent.\n\nAnswer with the JSON object only."
        )

    @pytest.mark.parametrize(
        ("change", "valid"),
        [
            ({}, True),
            ({"coins": []}, True),
            ({"confidence": 1}, True),
            ({"summary": "비트코인이 올랐다."}, True),
            ({"sentiment": "good"}, False),
            ({"coins": ["bitcoin"]}, False),
            ({"importance": 6}, False),
            ({"importance": 2.5}, False),
            ({"summary": ""}, False),
            ({"confidence": 1.1}, False),
            ({"extra": 1}, False),
        ],
    )
    def test_coin_takes_what_fits(self, change: dict[str, Any], valid: bool) -> None:
        fine = {
            "sentiment": "bullish",
            "coins": ["BTC"],
            "importance": 3,
            "summary": "Up.",
            "confidence": 0.57,
        }
        text = json.dumps(fine | change)
        if valid:
            assert parse(built_in("coin")).result(text) == fine | change
        else:
            with pytest.raises(ValueError):  # noqa: PT011  (jsonschema words it)
                parse(built_in("coin")).result(text)

    def test_every_confidence_that_the_grammar_allows_is_taken(self) -> None:
        """In binary 0.57 is no multiple of 0.01: as floats, a tenth of all answers would not validate."""
        fine = {"sentiment": "bullish", "coins": ["BTC"], "importance": 3, "summary": "Up."}
        coin = parse(built_in("coin"))
        for hundredths in range(101):
            expected = fine | {"confidence": hundredths / 100}
            assert coin.result(json.dumps(expected)) == expected
        with pytest.raises(ValueError, match=r"^0\.575 is not a multiple of 0\.01$"):
            coin.result(json.dumps(fine | {"confidence": 0.575}))


class TestParse:
    def test_the_least(self) -> None:
        assert recipe().max_tokens == 512
        assert recipe().sampling.temperature == 0

    @pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b"\xff", b'"text"', b'{"a": "\\ud800"}'])
    def test_no_recipe_at_all(self, payload: bytes) -> None:
        refusal(payload)

    @pytest.mark.parametrize("field", MINIMAL)
    def test_a_missing_field_is_named(self, field: str) -> None:
        fields = {name: value for name, value in MINIMAL.items() if name != field}
        assert refusal(json.dumps(fields).encode()) == f"The recipe is not valid: {field}: Field required."

    def test_an_unknown_key_is_named(self) -> None:
        assert wrong(colour=1) == ("The recipe is not valid: colour: Extra inputs are not permitted.")
        assert wrong(sampling={"heat": 1}).startswith("The recipe is not valid: sampling.heat: ")

    def test_all_faults_are_told_at_once(self) -> None:
        message = wrong(version="", max_tokens=0, colour=1)
        for name in ("version", "max_tokens", "colour"):
            assert f"{name}: " in message

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("version", ""),
            ("system", ""),
            ("template", ""),
            ("answer", []),
            ("max_tokens", 0),
            ("model", 1),
            ("sampling", {"temperature": 2.1}),
            ("sampling", {"top_p": -1}),
            ("sampling", {"repetition_penalty": 0}),
            ("sampling", {"seed": 2**63}),
        ],
    )
    def test_a_value_outside_its_range_is_named(self, field: str, value: Any) -> None:
        assert f" {field}" in wrong(**{field: value})

    @pytest.mark.parametrize(
        "answer",
        [{"type": "objekt"}, {"properties": []}, {"required": "a"}, {"type": "string", "pattern": "["}],
        ids=repr,
    )
    def test_a_schema_that_is_none(self, answer: dict[str, Any]) -> None:
        assert "answer is not a JSON Schema: " in wrong(answer=answer)

    @pytest.mark.parametrize("template", ["{{ title", "{% if %}", "{% endfor %}", "{{ title | nope }}"])
    def test_a_template_that_is_none(self, template: str) -> None:
        assert "template is not valid Jinja: " in wrong(template=template)


class TestRequest:
    def test_it_is_the_recipes(self) -> None:
        made = recipe(max_tokens=7, sampling={"temperature": 0.5, "seed": 3}).request(ARTICLE)
        assert made.messages == [SystemMessage(content="Answer."), UserMessage(content="Bitcoin rises")]
        assert made.response_format == JsonSchemaFormat(JsonSchema(name="answer", schema=MINIMAL["answer"]))
        assert (made.max_tokens, made.temperature, made.seed) == (7, 0.5, 3)
        assert (made.top_p, made.top_k) == (None, None)

    def test_it_sees_every_field_and_meta(self) -> None:
        template = "{{ id }}|{{ url }}|{{ lang }}|{{ meta.views }}|{{ body }}"
        article = Article(title="t", body="b", id="i", url="u", lang="ko", meta={"views": 3})
        assert asked(recipe(template=template), article) == "i|u|ko|3|b"

    def test_an_articles_text_is_never_a_template(self) -> None:
        article = Article(title="{{ 7 * 7 }}<b>", body="b")
        assert asked(recipe(), article) == "{{ 7 * 7 }}<b>"

    @pytest.mark.parametrize(
        "template",
        [
            "{{ nope }}",
            "{{ meta.views }}",
            "{{ published_at.date() }}",
            "{{ title + 1 }}",
            "{{ 1 // 0 }}",
            "{{ '%d' % title }}",
            "{% for i in range(10 ** 9) %}{% endfor %}",
            "{{ title.__class__.__mro__ }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        ],
    )
    def test_a_template_that_cannot_render_is_the_recipes_fault(self, template: str) -> None:
        with pytest.raises(BadRequest) as caught:
            recipe(template=template).request(ARTICLE)
        assert caught.value.code == "bad_recipe"
        assert caught.value.message.startswith("The recipe's template cannot render this article: ")


class TestResult:
    def test_data(self) -> None:
        assert recipe().result('{"a": "가"}') == {"a": "가"}

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "{}",
            '{"a": 1}',
            '{"a": "x"} and more',
            '{"a": "x", "b": NaN}',
            '{"a": "x", "b": 1e999}',
            '{"a": "\\ud800"}',
        ],
    )
    def test_anything_else_is_a_value_error(self, text: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011  (the parsers word it)
            recipe().result(text)

    def test_a_value_outside_the_schema_is_described(self) -> None:
        with pytest.raises(ValueError, match="'a' is a required property"):
            recipe().result('{"b": 1}')

    def test_a_result_survives_the_wire(self) -> None:
        text = '{"a": "\\ud83d\\ude80", "n": 12345678901234567890123}'
        result = recipe().result(text)
        assert json.loads(encode(result)) == result

    def test_a_schema_is_read_by_its_newest_draft(self) -> None:
        tuples = {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}
        assert recipe(answer=tuples).result("[1]") == [1]
        with pytest.raises(ValueError, match="at most 1 item"):
            recipe(answer=tuples).result("[1, 2]")
