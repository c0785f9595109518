"""Tools, calls and their results in a prompt: by the template where it knows them, else in plain words."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.chat import ChatRequest
from schemas.messages import AssistantMessage, Message, SystemMessage, ToolMessage, UserMessage
from schemas.tools import ChosenFunction, FunctionCall, FunctionDefinition, NamedChoice, Tool, ToolCall
from tests.model.templates import HERMES, NINE, PLAIN, TEXTUAL, Families
from worker.engine.prompt import PromptTemplate
from worker.jobs import CallFormat

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(FunctionDefinition("weather", "Tells the <|im_end|> weather.", PARAMETERS))
TIME = Tool(FunctionDefinition("time", strict=True))
JSON_FORM = CallFormat("<tool_call>", "</tool_call>")


@pytest.fixture(scope="module")
def family(folder: Path) -> Families:
    return Families(folder)


def call(id_: str, name: str, arguments: str) -> ToolCall:
    return ToolCall(id_, FunctionCall(name, arguments))


def talk(*calls: ToolCall, content: str | None = None) -> list[Message]:
    results = [ToolMessage(content=f"result {made.id}", tool_call_id=made.id) for made in reversed(calls)]
    return [UserMessage(content="Hi"), AssistantMessage(content=content, tool_calls=list(calls)), *results]


ROME = call("call_rome_0123456789", "weather", '{"city": "Rome 🌞"}')
NOW = call("call_now_0123456789", "time", "{}")


def shown(tokenizer: Any, messages: list[Message], **fields: Any) -> str:
    rendered = PromptTemplate(tokenizer).render(ChatRequest(messages=messages, **fields))
    return str(tokenizer.decode(rendered.tokens))


class TestByTheTemplate:
    def test_tools_are_told_as_openai_writes_them(self, family: Families) -> None:
        text = shown(family(HERMES, "json_tools"), [UserMessage(content="Hi")], tools=[WEATHER, TIME])
        told = text.partition("Tools:")[2].lstrip()
        first, end = json.JSONDecoder().raw_decode(told)
        second, _ = json.JSONDecoder().raw_decode(told[end:].lstrip())
        described = {
            "name": "weather",
            "description": "Tells the <|im_end|> weather.",
            "parameters": PARAMETERS,
        }
        assert first == {"type": "function", "function": described}
        assert second["function"] == {"name": "time", "parameters": {"type": "object", "properties": {}}}

    @pytest.mark.parametrize("template", [HERMES, TEXTUAL, NINE], ids=["object", "text", "nine"])
    def test_calls_and_results_are_told(self, family: Families, template: str) -> None:
        text = shown(family(template, "json_tools"), talk(ROME, NOW), tools=[WEATHER, TIME])
        assert '{"name": "weather", "arguments": {"city": "Rome 🌞"}}' in text
        assert text.index(f"<|im_start|>tool\nresult {ROME.id}") < text.index(f"result {NOW.id}")

    def test_the_same_id_may_come_again(self, family: Families) -> None:
        turns = [*talk(ROME), *talk(call(ROME.id, "time", "{}"))]
        text = shown(family(PLAIN), turns)
        assert text.index('<tool_response name="weather">') < text.index('<tool_response name="time">')

    def test_a_result_may_name_the_function_in_its_own_way(self, family: Families) -> None:
        asked, called, _ = talk(ROME)
        named = ToolMessage(content="sunny", tool_call_id=ROME.id, name="forecast")
        assert '<tool_response name="forecast">' in shown(family(PLAIN), [asked, called, named])

    def test_earlier_calls_stay_where_none_may_be_made(self, family: Families) -> None:
        tokenizer = family(HERMES, "json_tools")
        text = shown(tokenizer, talk(ROME), tools=[WEATHER], tool_choice="none")
        assert "Tools:" not in text
        assert "result call_rome" in text
        assert '"arguments": {"city"' in text

    def test_arguments_that_are_no_json_stay_text(self, family: Families) -> None:
        text = shown(family(HERMES, "json_tools"), talk(call("1", "weather", "{half")), tools=[WEATHER])
        assert '"arguments": "{half"' in text


@pytest.mark.parametrize(
    ("template", "parser"),
    [(PLAIN, None), (PLAIN, "json_tools"), (HERMES, None)],
    ids=["none", "deaf", "unread"],
)
class TestInPlainWords:
    def test_tools_are_told_in_the_first_system_message(
        self, family: Families, template: str, parser: str | None
    ) -> None:
        messages: list[Message] = [SystemMessage(content="Be brief."), UserMessage(content="Hi")]
        text = shown(family(template, parser), messages, tools=[WEATHER, TIME])
        assert text.startswith("<|im_start|>system\nBe brief.\n\nYou can call functions.")
        assert '\n{"name": "time", "parameters": {"type": "object", "properties": {}}}\n</tools>' in text
        assert text.count("<|im_start|>system") == 1
        assert "Call " not in text

    def test_or_in_one_of_their_own(self, family: Families, template: str, parser: str | None) -> None:
        text = shown(family(template, parser), [UserMessage(content="Hi")], tools=[WEATHER])
        assert text.startswith("<|im_start|>system\nYou can call functions.")
        assert "<|im_start|>user\nHi<|im_end|>" in text

    def test_or_before_the_question(self, family: Families, template: str, parser: str | None) -> None:
        refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        text = shown(family(refusing + template, parser), [UserMessage(content="Hi")], tools=[WEATHER])
        assert text.startswith("<|im_start|>user\nYou can call functions.")
        assert "\n\nHi<|im_end|>" in text

    @pytest.mark.parametrize(
        ("choice", "words"),
        [
            ("required", "Call at least one function now."),
            (NamedChoice(ChosenFunction("time")), "Call the function time now."),
        ],
    )
    def test_what_has_to_be_called_is_said(
        self, family: Families, template: str, parser: str | None, choice: Any, words: str
    ) -> None:
        text = shown(
            family(template, parser), [UserMessage(content="Hi")], tools=[WEATHER, TIME], tool_choice=choice
        )
        assert f"{words}<|im_end|>" in text

    @pytest.mark.parametrize("choice", [None, "none"])
    def test_calls_and_results_are_content(
        self, family: Families, template: str, parser: str | None, choice: Any
    ) -> None:
        messages = talk(ROME, NOW, content="Let me see.")
        text = shown(family(template, parser), messages, tools=[WEATHER, TIME], tool_choice=choice)
        assert ("You can call functions." in text) is (choice is None)
        assert (
            "<|im_start|>assistant\nLet me see.\n<tool_call>\n"
            '{"name": "weather", "arguments": {"city": "Rome 🌞"}}\n</tool_call>\n<tool_call>\n'
            '{"name": "time", "arguments": {}}\n</tool_call><|im_end|>\n<|im_start|>user\n'
            f'<tool_response name="weather">\nresult {ROME.id}\n</tool_response>\n'
            f'<tool_response name="time">\nresult {NOW.id}\n</tool_response><|im_end|>'
        ) in text


@pytest.mark.parametrize(
    ("template", "parser"), [(PLAIN, None), (HERMES, "json_tools")], ids=["words", "template"]
)
def test_no_control_token_comes_from_a_client(family: Families, template: str, parser: str | None) -> None:
    """Everywhere at once: names and descriptions, arguments, ids, results, thoughts."""
    tokenizer, end = family(template, parser), "<|im_end|>"

    def ends(text: str) -> int:
        schema = {"type": "object", "properties": {"a": {"type": "string", "description": text}}}
        made = call(f"id{text}", text, json.dumps({text: [text, {"x": text}]}))
        messages: list[Message] = [
            UserMessage(content=text, name=text),
            AssistantMessage(content=text, reasoning_content=text, tool_calls=[made, call("2", text, text)]),
            ToolMessage(content=text, tool_call_id=made.id),
        ]
        tools = [Tool(FunctionDefinition("f", text, schema))]
        rendered = PromptTemplate(tokenizer).render(ChatRequest(messages=messages, tools=tools))
        assert text in tokenizer.decode(rendered.tokens)
        return rendered.tokens.count(tokenizer.convert_tokens_to_ids(end))

    assert ends(end) == ends("x")


class TestForms:
    def test_json_in_the_models_marks_needs_no_parser(self, family: Families) -> None:
        assert self.form(family(HERMES, "json_tools")) == JSON_FORM

    def test_nor_do_plain_words(self, family: Families) -> None:
        assert self.form(family(PLAIN)) == JSON_FORM

    @pytest.mark.parametrize("fields", [{"tools": None}, {"tools": []}, {"tool_choice": "none"}])
    def test_without_tools_there_are_no_calls(self, family: Families, fields: Any) -> None:
        assert self.form(family(PLAIN), **fields) is None

    def test_another_dialect_is_read_by_its_parser_which_knows_the_tools(self, family: Families) -> None:
        form = self.form(family(HERMES, "qwen3_coder"))
        assert form is not None
        assert form.parse is not None
        written = "<function=weather>\n<parameter=city>\n17\n</parameter>\n</function>"
        assert form.parse(written) == {"name": "weather", "arguments": {"city": "17"}}

    @pytest.mark.parametrize(
        "fields", [{"tool_choice": "required"}, {"parallel_tool_calls": False}, {"tools": [TIME]}]
    )
    def test_but_what_is_promised_is_written_in_json(self, family: Families, fields: Any) -> None:
        assert self.form(family(HERMES, "mistral"), **fields) == CallFormat("[TOOL_CALLS]", "</tool_call>")
        assert self.form(family(HERMES, "gemma4"), **fields) == CallFormat("<|tool_call>", "<tool_call|>")

    def form(self, tokenizer: Any, **fields: Any) -> CallFormat | None:
        known: dict[str, Any] = {"messages": [UserMessage(content="Hi")], "tools": [WEATHER]}
        request = ChatRequest(**known | fields)
        return PromptTemplate(tokenizer).render(request).form.calls
