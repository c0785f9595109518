"""Tool calls in an answer: read as they are written, and shown as text where they cannot be read."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.worker.transcripts import PLACES, called, cut, flat, numbers, said, steps, summed, write
from worker.engine.calls import CallReader, Said, new_id
from worker.jobs import AnswerForm, Arguments, Call, CallFormat, Text, Thought

TAGS = CallFormat("<call>", "</call>")
OPEN = CallFormat("[CALLS]", "")
FORM = AnswerForm(calls=TAGS)
ONE = '{"name": "f", "arguments": {"a": 1}}'


def lines(text: str) -> Any:
    """A form of its own: `name argument`, one call a line."""
    calls = [line.split(" ") for line in text.strip().split("\n")]
    found = [{"name": name, "arguments": {"a": value}} for name, value in calls]
    return found[0] if len(found) == 1 else found


OWN = AnswerForm(calls=CallFormat("<call>", "</call>", lines))


def whole(parse: Any) -> AnswerForm:
    return AnswerForm(calls=CallFormat("<call>", "</call>", parse))


def test_arguments_are_shown_as_they_are_written() -> None:
    pieces = ["<call>", '\n{"name": "f",', ' "arguments": ', '{"a": ', '"}', '"', "}", "}\n", "</call>"]
    transcript, shown = steps(FORM, pieces)
    assert summed(shown[3]) == [Call("", "f"), Arguments('{"a": ')]
    assert [step for step in shown if step][1:] == [[Arguments('"}')], [Arguments('"')], [Arguments("}")]]
    assert transcript.called


def test_ids_are_openais() -> None:
    assert re.fullmatch(r"call_[0-9a-f]{24}", new_id())
    ids = [
        piece.id for piece in write(FORM, f"<call>{ONE}</call><call>{ONE}</call>") if isinstance(piece, Call)
    ]
    assert len(set(ids)) == 2


def test_ids_can_be_given() -> None:
    parts = CallReader(TAGS, 3, iter("xy").__next__).push(f"a<call>{ONE}</call>")
    assert parts == [Said(0, "a"), Call("x", "f", 0, 3), Arguments('{"a": 1}', 0, 3)]


def test_white_space_around_calls_is_left_out() -> None:
    shown = write(
        FORM, "One moment. \n", f"<call>{ONE}</call>", "\n\n", f"<call>{ONE}</call>", "\n", "Done.\n"
    )
    assert summed(shown) == [
        Text("One moment."),
        *(Call("", "f", 0), Arguments('{"a": 1}', 0)),
        *(Call("", "f", 1), Arguments('{"a": 1}', 1)),
        Text("Done.\n"),
    ]
    assert numbers(shown) == [0, 5]


def test_white_space_without_a_call_is_content() -> None:
    assert [said(step) for step in steps(FORM, ["a ", "\n", "b", "\n"])[1]] == ["a", "", " \nb", "", "\n"]


def test_white_space_is_content_again_after_content() -> None:
    assert said(write(FORM, f"<call>{ONE}</call>", "\nDone", " now", ".")) == "Done now."


def test_calls_follow_thoughts() -> None:
    form = AnswerForm(think=("<think>", "</think>"), calls=TAGS)
    shown = write(form, *f"<think>Hm <call>{ONE}</call></think>\n\n<call>{ONE}</call>")
    assert summed(shown) == [Thought(f"Hm <call>{ONE}</call>"), Call("", "f"), Arguments('{"a": 1}')]


def test_stop_strings_are_not_looked_for_in_calls() -> None:
    form = AnswerForm(calls=TAGS, stops=("f", "</call>", "1"))
    assert called(write(form, *f"<call>{ONE}</call>")) == [("f", '{"a": 1}')]


def test_a_stop_string_ends_the_text_before_the_call() -> None:
    transcript, shown = steps(AnswerForm(calls=TAGS, stops=("\n",)), [f"a\n<call>{ONE}</call>"])
    assert summed(shown[0]) == [Text("a")]
    assert transcript.stopped
    assert not transcript.called


def test_white_space_before_a_stop_string_is_content() -> None:
    assert said(write(AnswerForm(calls=TAGS, stops=("STOP",)), "a", " \n", "STOP")) == "a \n"


def test_what_a_stop_string_held_back_comes_before_the_call() -> None:
    shown = write(AnswerForm(calls=TAGS, stops=("STOP",)), "a ST", f"<call>{ONE}</call>")
    assert summed(shown)[:2] == [Text("a ST"), Call("", "f")]


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ('{"arguments": {"a": "나"}, "name": "f"}', '{"a": "나"}'),
        ('{"name": "f"}', "{}"),
        ('{"name": "f", "arguments": null}', "{}"),
        ('{"name": "f", "arguments": ""}', "{}"),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('{"name": "f", "id": 7, "arguments": {"a": "line\nline"}}', '{"a": "line\\nline"}'),
        ('[{"name": "f", "arguments": {"a": []}}]', '{"a": []}'),
        ('{"name": "f", "arguments": {"a": {}}, "more": {"name": 1}}', '{"a": {}}'),
        ('{"name": "f", "arguments": {"a": "</call>\\" {"}}', '{"a": "</call>\\" {"}'),
        ('{"name": "f", "arguments": {"a":\t[ ]}}}', '{"a":\t[ ]}'),
        ('{"name": "f", "arguments": {"a": 1}', '{"a": 1}'),
        ('{"name": "\\u0066", "arguments": {}}', "{}"),
    ],
)
def test_json_in_any_order_and_state(body: str, arguments: str) -> None:
    assert called(write(FORM, *f"<call>{body}</call>")) == [("f", arguments)]
    assert said(write(FORM, f"<call>{body}</call> after")) == "after"


@pytest.mark.parametrize("between", ["", "\n", ", ", ";", "}\n"])
def test_two_objects_between_the_marks_are_two_calls(between: str) -> None:
    body = ONE + between + '{"arguments": {"b": 2}, "name": "g"}'
    assert called(write(FORM, *f"<call>{body}</call>")) == [("f", '{"a": 1}'), ("g", '{"b": 2}')]
    assert called(write(AnswerForm(calls=OPEN), *f"[CALLS]{body}")) == [("f", '{"a": 1}'), ("g", '{"b": 2}')]


def test_a_list_of_calls() -> None:
    body = json.dumps([{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"a": 1}}])
    assert called(write(AnswerForm(calls=OPEN), "[CALLS]", body)) == [("f", "{}"), ("g", '{"a": 1}')]


def test_what_follows_a_call_without_end_mark_is_not_lost() -> None:
    shown = write(AnswerForm(calls=OPEN), f"[CALLS]{ONE}", " That was", " it.")
    assert summed(shown) == [Call("", "f"), Arguments('{"a": 1}'), Text("That was it.")]
    assert numbers(shown) == [2]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "7",
        '{"name": "f", "arguments": [1]}',
        '{"name": "", "arguments": {}}',
        '{"name": 1, "arguments": {}}',
        '{"arguments": {}}',
        '{"name": "f", arguments: {}}',
        '{"name": "\\q", "arguments": {}}',
        '{"name": "\\ud800", "arguments": {}}',
        '{"arguments": {"a": "\\ud800"}, "name": "f"}',
        '{"arguments": {"a": NaN}, "name": "f"}',
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_shown_as_it_was_written(body: str) -> None:
    text = f"One \n<call>{body}</call>\n two "
    transcript, shown = steps(FORM, ["One \n<ca", *cut(text[8:], {2, 5, 9, 12})])
    assert said(flat(shown)) == text
    assert not transcript.called


def test_a_quote_in_what_is_no_json_does_not_swallow_the_next_call() -> None:
    shown = write(FORM, *f'<call>say "hi</call><call>{ONE}</call>')
    assert said(shown) == '<call>say "hi</call>'
    assert called(shown) == [("f", '{"a": 1}')]


def test_stop_strings_are_looked_for_in_what_cannot_be_read() -> None:
    assert said(write(AnswerForm(calls=TAGS, stops=(" no",)), *"a <call>why no</call>")) == "a <call>why"


def test_a_form_of_the_models_own_is_read_when_it_is_complete() -> None:
    _, shown = steps(OWN, ["a <call>f", " 나", "\n", "g 1", "</call>", "\nb"])
    assert [said(step) for step in shown] == ["a", "", "", "", "", "b", ""]
    assert called(shown[4]) == [("f", '{"a": "나"}'), ("g", '{"a": "1"}')]


def test_a_parser_may_trip_in_any_way() -> None:
    for parse in (
        lambda text: text[99],
        lambda text: 1 / 0,
        lambda text: [],
        lambda text: {"name": "f", "arguments": 7},
    ):
        assert said(write(whole(parse), *"a <call>f 1</call> b")) == "a <call>f 1</call> b"


def test_a_parser_may_give_ids_and_text() -> None:
    call = {"name": "f", "arguments": '{"a":1}', "id": "functions.f:0"}
    assert write(whole(lambda text: call), "<call></call>") == [
        Call("functions.f:0", "f"),
        Arguments('{"a":1}'),
    ]


@pytest.mark.parametrize("text", ["<cal", "a <call>", "a <call>f 1", "a \n<call>f 1</cal"])
def test_a_buffered_call_that_the_end_cuts_is_text(text: str) -> None:
    for form in (OWN, FORM):
        assert said(write(form, *text)) == text


def test_a_shown_call_that_the_end_cuts_stays() -> None:
    shown = write(FORM, *'<call>{"name": "f", "arguments": {"a": "b')
    assert summed(shown) == [Call("", "f"), Arguments('{"a": "b')]


def test_json_that_lacks_nothing_but_its_end_mark_is_a_call() -> None:
    for end in ("", "\n", "</cal"):
        assert called(write(FORM, *('<call>{"arguments": {"a": 1}, "name": "f"}' + end))) == [
            ("f", '{"a": 1}')
        ]


def test_without_an_end_mark_a_call_goes_to_the_end() -> None:
    form = AnswerForm(calls=CallFormat("[CALLS]", "", lines))
    assert called(write(form, *"a [CALLS]f 1\ng 2")) == [("f", '{"a": "1"}'), ("g", '{"a": "2"}')]
    assert said(write(form, *"a [CALLS]f 1 2")) == "a [CALLS]f 1 2"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text('a"\\{}[]</cal> 한\n', max_size=8)
    | st.just("</call>"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("ab{", max_size=2), inner, max_size=2)
    ),
    max_leaves=5,
)
objects = st.dictionaries(st.text("ab}", max_size=2), values, max_size=3)


@given(st.lists(objects, min_size=1, max_size=3), PLACES, st.booleans(), st.sampled_from(["", "\n", "  "]))
def test_any_json_arrives_as_it_was_written(
    calls: list[dict[str, Any]], places: set[int], ascii: bool, gap: str
) -> None:
    written = [json.dumps(call, ensure_ascii=ascii, indent=1 if gap else None) for call in calls]
    text = gap.join(f'<call>{gap}{{"name": "f", "arguments": {each}}}{gap}</call>' for each in written)
    shown = write(FORM, *cut(text, places))
    assert called(shown) == [("f", each) for each in written]
    assert said(shown) == ""


FRAGMENTS = [
    "<call>",
    "</call>",
    "[CALLS]",
    ONE,
    '{"name": "f"',
    ', "arguments": {',
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
]
FRAGMENTS += ["f 1", "\n", " ", ",", "<", "a", "한", '{"arguments": {}, "name": "g"}']
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
FORMS = [FORM, OWN, AnswerForm(calls=OPEN), AnswerForm(calls=CallFormat("[CALLS]", "", lines))]


@pytest.mark.parametrize("form", FORMS)
@given(text=texts, places=PLACES)
@example(text=f"a <call>{ONE} b</call> c", places={20, 44})
def test_any_split_gives_the_same_in_sum(form: AnswerForm, text: str, places: set[int]) -> None:
    whole, split = steps(form, [text]), steps(form, cut(text, places))
    assert summed(flat(split[1])) == summed(flat(whole[1]))
    assert split[0].called == whole[0].called


@pytest.mark.parametrize("form", FORMS)
@given(text=texts)
def test_without_a_call_all_is_shown(form: AnswerForm, text: str) -> None:
    transcript, shown = steps(form, list(text))
    if not transcript.called:
        assert said(flat(shown)) == text
