"""Thoughts, stop strings and logprobs in the answer: the same in sum, however it is cut into tokens."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.worker.transcripts import (
    PLACES,
    Pieces,
    cut,
    flat,
    logprob,
    numbers,
    said,
    steps,
    summed,
    thought,
    write,
)
from worker.engine.text import Transcript
from worker.jobs import AnswerForm, CallFormat, Text, Thought

MARKS = ("<think>", "</think>")
MAY = AnswerForm(think=MARKS)
INSIDE = AnswerForm(think=MARKS, thinking=True)
ALL = AnswerForm(
    think=MARKS, thinking=True, calls=CallFormat("<call>", "</call>"), stops=("STOP", "\n\n", "<")
)
FORMS = [
    AnswerForm(),
    MAY,
    INSIDE,
    AnswerForm(stops=("STOP", " b")),
    AnswerForm(think=MARKS, stops=("<think>", "a")),
    AnswerForm(calls=ALL.calls, stops=("\n", "call")),
    AnswerForm(calls=CallFormat("[CALLS]", ""), stops=("]",)),
    ALL,
]


def test_without_marks_each_token_is_shown_at_once() -> None:
    assert steps(AnswerForm(), ["a ", "<think>", "\n"])[1] == [
        [Text("a ", 0, (logprob("a ", 0),))],
        [Text("<think>", 0, (logprob("<think>", 1),))],
        [Text("\n", 0, (logprob("\n", 2),))],
        [],
    ]


def test_thoughts_are_told_apart_from_what_is_said() -> None:
    shown = write(MAY, "<think>", "\n", "Hm", ".", "\n", "</think>", "\n\n", "Yes", ".\n")
    assert summed(shown) == [Thought("Hm."), Text("Yes.\n")]


def test_thoughts_may_have_begun_in_the_prompt() -> None:
    assert summed(write(INSIDE, "\nHm", " </think> ", "Yes")) == [Thought("Hm"), Text("Yes")]


def test_white_space_before_thoughts_is_left_out() -> None:
    assert summed(write(MAY, "\n", "<think>Hm</think>Yes")) == [Thought("Hm"), Text("Yes")]
    assert summed(write(INSIDE, "\n", "<think>Hm</think>Yes")) == [Thought("Hm"), Text("Yes")]


def test_a_start_mark_that_the_model_repeats_is_left_out() -> None:
    assert summed(write(INSIDE, "<thi", "nk>", "Hm</think>Yes")) == [Thought("Hm"), Text("Yes")]
    assert summed(write(INSIDE, "Hm <think> hm")) == [Thought("Hm <think> hm")]


def test_an_answer_may_do_without_thoughts() -> None:
    assert summed(write(MAY, " ", "Yes")) == [Text(" Yes")]
    assert summed(write(MAY, "<think>\n\n</think>\n\nYes")) == [Text("Yes")]


def test_marks_in_the_content_are_content() -> None:
    for text in ("Yes <think>no</think>", "</think>Yes", "<thing>"):
        assert summed(write(MAY, *text)) == [Text(text)]
    twice = write(MAY, "<think>a</think>b<think>c</think>")
    assert summed(twice) == [Thought("a"), Text("b<think>c</think>")]


def test_nothing_of_a_mark_is_shown_before_it_is_known_to_be_none() -> None:
    _, shown = steps(INSIDE, ["Hm", " <", "/thin", "g", "\n</think", ">"])
    assert [thought(step) for step in shown] == ["Hm", "", "", " </thing", "", "", ""]


def test_what_is_held_back_comes_with_the_end() -> None:
    assert write(MAY, "<thi") == [Text("<thi", 0, (logprob("<thi", 0),))]
    assert write(INSIDE, "Hm </th") == [Thought("Hm"), Thought(" </th")]
    assert write(INSIDE, "<thi") == [Thought("<thi")]
    assert write(INSIDE, "\n") == []


def test_thinking_and_the_tokens_it_took() -> None:
    transcript = Transcript(Pieces(["<think>", "Hm", "</think>", "\n", "Yes"]), MAY)
    seen = [(transcript.push(n) and None, transcript.thinking, transcript.thoughts)[1:] for n in range(5)]
    assert seen == [(True, 1), (True, 2), (False, 3), (False, 3), (False, 3)]


def test_tokens_of_thoughts_that_the_prompt_began() -> None:
    transcript = Transcript(Pieces(["<", "Hm", "</think>", "Yes"]), INSIDE)
    assert transcript.thinking
    transcript.push(0)
    assert transcript.thoughts == 1
    for number in (1, 2, 3):
        transcript.push(number)
    assert (transcript.thinking, transcript.thoughts) == (False, 3)


def test_an_answer_without_thoughts_spent_none() -> None:
    assert steps(MAY, ["<", "a>", " </think>"])[0].thoughts == 0


def test_stop_strings_are_looked_for_in_content_only() -> None:
    form = AnswerForm(think=MARKS, stops=("STOP", "think", "\n"))
    shown = write(form, "<think>", "a STOP\nb", "</think>", "\n", "c ST", "OP d")
    assert summed(shown) == [Thought("a STOP\nb"), Text("c ")]


def test_after_a_stop_string_nothing_comes() -> None:
    transcript = Transcript(Pieces(["a!b", "c"]), AnswerForm(stops=("!",)))
    assert transcript.push(0) == [Text("a")]
    assert transcript.stopped
    assert transcript.push(1) == transcript.end() == []


def test_logprobs_come_with_the_text_that_their_token_begins() -> None:
    _, shown = steps(AnswerForm(stops=("STOP",)), ["a ", "S", "T", "I", "R", " ST", "OP"])
    assert [said(step) for step in shown] == ["a ", "", "", "STI", "R", " ", ""]
    assert [numbers(step) for step in shown] == [[0], [], [], [1, 2, 3], [4], [5], []]


def test_tokens_from_the_stop_string_on_give_none() -> None:
    assert numbers(write(AnswerForm(stops=("STOP",)), "a", "b ", "ST", "OP")) == [0, 1]


def test_marks_and_thoughts_give_none() -> None:
    assert numbers(write(MAY, "<think>", "\n", "Hm", "</think>", "\n", "Y", "es")) == [5, 6]


def test_what_is_known_of_thoughts_is_not_kept() -> None:
    transcript, _ = steps(INSIDE, ["Hm", " hm", "</thi"])
    assert not transcript._logprobs._waiting


def test_the_tokens_of_one_character_come_with_it() -> None:
    parts = Pieces(["", "", "가", "나"])
    transcript = Transcript(parts, AnswerForm())
    shown = [transcript.push(number, logprob("\ufffd", number)) for number in range(4)]
    assert [numbers(step) for step in shown] == [[], [], [0, 1, 2], [3]]


def test_a_character_that_stays_incomplete_gives_none() -> None:
    transcript = Transcript(Pieces(["a", ""]), AnswerForm())
    transcript.push(0, logprob("a", 0))
    transcript.push(1, logprob("\ufffd", 1))
    assert transcript.end() == []


def test_a_blank_that_the_detokenizer_kept_does_not_hide_where_a_token_begins() -> None:
    """mlx_lm's for BPE shows a single blank only with the token after it."""
    transcript = Transcript(Pieces(["a", "", " STOP"]), AnswerForm(stops=("STOP",)))
    shown = [transcript.push(n, logprob(token, n)) for n, token in enumerate(["a", " ", "STOP"])]
    assert [numbers(step) for step in shown] == [[0], [], [1]]


def test_pieces_carry_their_choice() -> None:
    transcript = Transcript(Pieces(["Hm</think>Yes"]), INSIDE, choice=2)
    assert transcript.push(0) == [Thought("Hm", 2), Text("Yes", 2)]


FRAGMENTS = [
    *MARKS,
    "<call>",
    "</call>",
    "[CALLS]",
    "<thi",
    "</",
    "STOP",
    "S",
    " ",
    "\n",
    "a",
    "b",
    "한",
    "<",
    "]",
]
FRAGMENTS += ['{"name": "f", "arguments": {"a": "</call>"}}', '{"name":"', "{", "}"]
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


@pytest.mark.parametrize("form", FORMS)
@given(text=texts, places=PLACES)
@example(text="</think>a \n<call>{}</call> \n b", places={12})
@example(text="</think>aS<call>TOP", places={10, 16})
def test_any_split_gives_the_same_in_sum(form: AnswerForm, text: str, places: set[int]) -> None:
    whole, split = steps(form, [text]), steps(form, cut(text, places))
    assert summed(flat(split[1])) == summed(flat(whole[1]))
    for name in ("stopped", "thinking"):
        assert getattr(split[0], name) == getattr(whole[0], name)


@pytest.mark.parametrize("form", FORMS)
@given(text=texts, places=PLACES)
def test_logprobs_are_of_exactly_the_tokens_that_begin_in_what_is_said(
    form: AnswerForm, text: str, places: set[int]
) -> None:
    single = write(form, *text)  # tokens of one character: their logprobs are the very text
    begun = numbers(single)
    assert "".join(text[at] for at in begun) == said(single)
    tokens = cut(text, places)
    starts = [sum(map(len, tokens[:n])) for n in range(len(tokens))]
    assert numbers(write(form, *tokens)) == [n for n, at in enumerate(starts) if tokens[n] and at in begun]


@pytest.mark.parametrize("form", FORMS)
@given(text=texts, places=PLACES)
def test_neighbours_within_one_step_are_of_different_kinds(
    form: AnswerForm, text: str, places: set[int]
) -> None:
    for step in steps(form, cut(text, places))[1]:
        assert len(summed(step)) == len(step)


@given(texts, texts.filter(lambda text: MARKS[1] not in text and text.strip() and "<" not in text))
def test_all_that_is_thought_and_said_is_shown(answer: str, thoughts: str) -> None:
    shown = write(INSIDE, *(thoughts + MARKS[1] + answer))
    assert thought(shown) == thoughts.strip()
    assert said(shown) == answer.lstrip()
