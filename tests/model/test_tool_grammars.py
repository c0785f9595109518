"""What a grammar lets a model write, token by token, when there are tools."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.chat import ChatRequest, JsonObjectFormat, JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.messages import UserMessage
from schemas.tools import ChosenFunction, FunctionDefinition, NamedChoice, Tool
from tests.model.checker import TOOLS, Checker
from tests.model.templates import HERMES, OPENED, PLAIN, Families

ANSWER = JsonSchemaFormat(
    JsonSchema("a", {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]})
)
NAMED = NamedChoice(ChosenFunction("get_all"))

GET = '<tool_call>\n{"name": "get", "arguments": {"city": "Rome"}}\n</tool_call>'
ALL = '<tool_call>\n{"name": "get_all", "arguments": {}}\n</tool_call>'
WRONG = GET.replace("Rome", "Bern")
BOTH = f"{GET}\n{ALL}"
TEXT = "Well: 1 < 2 <tool_ca <b>가🚀</b>\n\n\t{"
JSON = '{"a": 1}'


@pytest.fixture(scope="module")
def family(folder: Path) -> Families:
    return Families(folder)


@pytest.fixture(scope="module")
def words(family: Families) -> Checker:
    return Checker(family(PLAIN))


@pytest.fixture(scope="module")
def tokens(family: Families) -> Checker:
    """Marks are tokens of their own, as most models have them."""
    return Checker(family(HERMES, "json_tools", added="<tool_call> </tool_call> <br>"))


@pytest.fixture(scope="module")
def thinker(family: Families) -> Checker:
    return Checker(family(HERMES, "json_tools", added="<tool_call> </tool_call> <think> </think>"))


@pytest.fixture(scope="module", params=["words", "tokens"])
def check(request: pytest.FixtureRequest) -> Checker:
    found: Checker = request.getfixturevalue(request.param)
    return found


class TestForced:
    @pytest.mark.parametrize("text", [GET, ALL, BOTH, f"{BOTH}\n{GET}"])
    def test_any_tools_may_be_called(self, check: Checker, text: str) -> None:
        assert check.takes(text, tool_choice="required")

    @pytest.mark.parametrize(
        "text", ["", "x", TEXT, WRONG, GET + " ", "\n" + GET, GET + ALL, GET.replace(": ", ":"), GET[:-1]]
    )
    def test_and_nothing_else(self, check: Checker, text: str) -> None:
        assert not check.takes(text, tool_choice="required")

    @pytest.mark.parametrize("parallel", [None, True, False])
    def test_a_named_one_is_called_once_and_no_other(self, check: Checker, parallel: bool | None) -> None:
        assert check.takes(ALL, tool_choice=NAMED, parallel_tool_calls=parallel)
        assert not check.takes(GET, tool_choice=NAMED, parallel_tool_calls=parallel)
        assert not check.takes(f"{ALL}\n{ALL}", tool_choice=NAMED, parallel_tool_calls=parallel)

    def test_without_parallel_calls_there_is_one(self, check: Checker) -> None:
        assert check.takes(ALL, tool_choice="required", parallel_tool_calls=False)
        assert not check.takes(f"{ALL}\n{ALL}", tool_choice="required", parallel_tool_calls=False)

    @pytest.mark.parametrize("form", [ANSWER, JsonObjectFormat()])
    def test_a_response_format_is_for_text(self, check: Checker, form: Any) -> None:
        assert check.takes(GET, tool_choice="required", response_format=form)
        assert not check.takes(JSON, tool_choice="required", response_format=form)

    @pytest.mark.parametrize("parser", ["mistral", "qwen3_coder", "gemma4", "kimi_k2", "pythonic"])
    def test_whatever_the_model_is_used_to(self, family: Families, parser: str) -> None:
        marks = "[TOOL_CALLS] <|tool_call> <tool_call|> <|tool_calls_section_begin|> <|tool_call_start|>"
        checker = Checker(family(HERMES, parser, special=marks))
        request = ChatRequest(messages=[UserMessage(content="Hi")], tools=TOOLS, tool_choice="required")
        form = checker.template.render(request).form.calls
        assert form is not None
        text = GET.replace("<tool_call>", form.start).replace("</tool_call>", form.end)
        assert checker.takes(text, tool_choice="required")
        assert not checker.takes(text.replace("Rome", "Bern"), tool_choice="required")
        assert form.parse is None


class TestFree:
    @pytest.mark.parametrize(
        "text", ["", TEXT, GET, BOTH, GET + ALL, TEXT + GET, GET + TEXT, f"{TEXT}{GET}{TEXT}{ALL}\n"]
    )
    def test_any_text_with_calls_in_it(self, check: Checker, text: str) -> None:
        assert check.takes(text)

    @pytest.mark.parametrize(
        "text", [WRONG, TEXT + WRONG, GET + WRONG, "<tool_call>", "<tool_call>\n{}\n</tool_call>"]
    )
    def test_but_no_wrong_ones(self, check: Checker, text: str) -> None:
        assert not check.takes(text)

    @pytest.mark.parametrize("text", ["", TEXT, GET, TEXT + GET])
    def test_without_parallel_calls_one_may_come(self, check: Checker, text: str) -> None:
        assert check.takes(text, parallel_tool_calls=False)

    @pytest.mark.parametrize("text", [BOTH, GET + ALL, GET + " "])
    def test_and_is_the_end(self, check: Checker, text: str) -> None:
        assert not check.takes(text, parallel_tool_calls=False)

    def test_every_token_may_come_first_and_after_text(self, check: Checker) -> None:
        """Also those that llguidance does not take for text."""
        width, ends = len(check.tokenizer), set(check.tokenizer.eos_token_ids)
        matcher = check.matcher()
        for begun in ("", "x"):
            assert matcher.consume_tokens(check.tokenizer.encode(begun, add_special_tokens=False))
            mask = matcher.compute_bitmask()
            refused = {at for at in range(width) if not mask[at // 8] >> at % 8 & 1}
            refused_texts = {check.tokenizer.decode([at]) for at in refused - ends}
            assert not {text for text in refused_texts if text.strip("\ufffd")}  # no character begins so
        assert matcher.is_accepting()

    def test_special_tokens_are_known_as_llguidance_knows_them(self, tokens: Checker) -> None:
        found = {at for at in range(len(tokens.tokenizer)) if tokens.known.is_special_token(at)}
        assert set(tokens.template._grammars._special.values()) == found
        assert tokens.tokenizer.convert_tokens_to_ids("<br>") in found

    def test_another_dialect_is_free(self, family: Families) -> None:
        assert Checker(family(HERMES, "qwen3_coder")).grammar() is None


class TestWithAResponseFormat:
    @pytest.mark.parametrize("text", [JSON, GET, BOTH])
    def test_it_is_that_or_calls(self, check: Checker, text: str) -> None:
        assert check.takes(text, response_format=ANSWER)

    @pytest.mark.parametrize("text", ["", TEXT, WRONG, JSON + GET, GET + JSON, '{"a": 2}'])
    def test_and_nothing_else(self, check: Checker, text: str) -> None:
        assert not check.takes(text, response_format=ANSWER)

    def test_of_calls_there_may_have_to_be_one(self, check: Checker) -> None:
        assert check.takes(GET, response_format=ANSWER, parallel_tool_calls=False)
        assert not check.takes(BOTH, response_format=ANSWER, parallel_tool_calls=False)

    @pytest.mark.parametrize(
        ("parser", "start", "end"),
        [("qwen3_coder", "<tool_call>", "</tool_call>"), ("mistral", "[TOOL_CALLS]", "")],
    )
    def test_calls_in_another_dialect_are_free_inside(
        self, family: Families, parser: str, start: str, end: str
    ) -> None:
        checker = Checker(family(HERMES, parser, special="[TOOL_CALLS]"))
        assert checker.takes(f"{start}<function=get> x{end}", response_format=ANSWER)
        assert checker.takes(JSON, response_format=ANSWER)
        assert not checker.takes("x", response_format=ANSWER)

    @pytest.mark.parametrize("fields", [{"tools": None}, {"tool_choice": "none"}])
    def test_without_tools_it_is_alone(self, check: Checker, fields: Any) -> None:
        assert check.takes(JSON, response_format=ANSWER, **fields)
        assert not check.takes(GET, response_format=ANSWER, **fields)


class TestThoughts:
    """What is thought does not come to the grammar; the mark that opens it does."""

    @pytest.mark.parametrize(
        ("text", "fields"),
        [
            (GET, {"tool_choice": "required"}),
            (JSON, {"response_format": ANSWER}),
            (GET, {"response_format": ANSWER}),
            (JSON, {"response_format": ANSWER, "tools": None}),
            (TEXT, {}),
        ],
    )
    def test_the_mark_may_come_first(self, thinker: Checker, text: str, fields: Any) -> None:
        assert thinker.takes("<think>" + text, **fields)
        assert thinker.takes(text, **fields)
        assert not thinker.takes("<think>", **fields) or not fields

    def test_it_does_not_where_the_prompt_has_it(self, family: Families) -> None:
        checker = Checker(family(OPENED, "json_tools", added="<think> </think>"))
        assert checker.takes(JSON, response_format=ANSWER)
        assert not checker.takes("<think>" + JSON, response_format=ANSWER)


class TestArguments:
    def takes(self, check: Checker, parameters: Any, arguments: str) -> bool:
        tools = [Tool(FunctionDefinition("f", None, parameters))]
        text = f'<tool_call>\n{{"name": "f", "arguments": {arguments}}}\n</tool_call>'
        return check.takes(text, tools=tools, tool_choice="required")

    @pytest.mark.parametrize(
        ("parameters", "arguments", "wanted"),
        [
            (None, "{}", True),
            (None, '{"a": 1}', False),
            ({}, '{"a": [1, null]}', True),
            ({}, "[]", False),
            ({"properties": {"a": {"type": "integer"}}}, '{"a": 1}', True),
            ({"properties": {"a": {"type": "integer"}}}, '{"a": "1"}', False),
            ({"type": ["object", "null"]}, "null", False),
            ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, '{"b": 1}', True),
            ({"type": "object", "x-guidance": {"whitespace_flexible": True}}, '{ "a":1}', False),
        ],
    )
    def test_they_are_an_object_that_validates(
        self, words: Checker, parameters: Any, arguments: str, wanted: bool
    ) -> None:
        assert self.takes(words, parameters, arguments) is wanted

    def test_names_are_told_apart(self, words: Checker) -> None:
        names = ["f", "f-1", "f_1", "F" * 64]
        tools = [
            Tool(FunctionDefinition(name, None, {"properties": {"x": {"const": name}}})) for name in names
        ]
        for name in names:
            text = ALL.replace("get_all", name).replace("{}", json.dumps({"x": name}))
            assert words.takes(text, tools=tools, tool_choice="required")
            assert not words.takes(
                text.replace(f'"x": "{name}"', '"x": "?"'), tools=tools, tool_choice="required"
            )

    @pytest.mark.parametrize(
        ("parameters", "named"),
        [
            ({"properties": {"a": {"not": {}}}}, '"not"'),
            ({"properties": {"a": {"type": "array", "uniqueItems": True}}}, '"uniqueItems"'),
            ({"not": {}, "x-guidance": {"lenient": True}}, '"not"'),
            ({"properties": {"a": {"pattern": "a(?=b)", "type": "string"}}}, "look-around"),
            ({"properties": {"a": {"$ref": "#/$defs/a"}}}, "/$defs/a"),
            ({"properties": {"a": False}, "required": ["a"]}, "unsatisfiable"),
            ({"type": "string"}, "`object`"),
            ({"type": "strange"}, "`object`"),
        ],
    )
    @pytest.mark.parametrize("choice", [None, "required"])
    def test_what_cannot_be_enforced_is_named(
        self, words: Checker, parameters: Any, named: str, choice: Any
    ) -> None:
        tools = [*TOOLS, Tool(FunctionDefinition("f", None, parameters))]
        with pytest.raises(BadRequest) as caught:
            words.grammar(tools=tools, tool_choice=choice)
        assert (caught.value.param, caught.value.code) == (
            "tools[2].function.parameters",
            "unsupported_schema",
        )
        assert named in caught.value.message
        assert "\n" not in caught.value.message

    def test_a_schema_nested_too_deeply_is_refused(self, words: Checker) -> None:
        deep: dict[str, Any] = {}
        for _ in range(200):
            deep = {"properties": {"a": deep}}
        with pytest.raises(BadRequest, match="recursion limit") as caught:
            words.grammar(tools=[Tool(FunctionDefinition("f", None, deep))], tool_choice="required")
        assert caught.value.param == "tools[0].function.parameters"

    def test_only_what_may_be_called_is_checked(self, words: Checker) -> None:
        tools = [*TOOLS, Tool(FunctionDefinition("f", None, {"not": {}}))]
        assert words.takes(ALL, tools=tools, tool_choice=NAMED)
        assert words.grammar(tools=tools, tool_choice="none") is None
