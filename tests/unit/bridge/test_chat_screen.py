"""What `nats-mlx chat` shows of an answer: a program that reads stdout gets the answer alone."""

import pytest

from bridge.cli.chat import _Screen
from schemas.completion import Delta


def test_the_answer_is_on_stdout_and_the_thoughts_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    screen = _Screen()
    for delta in (
        Delta(role="assistant", content=""),
        Delta(reasoning_content="Let me"),
        Delta(reasoning_content=" see."),
        Delta(content="Par"),
        Delta(),
        Delta(content="is."),
    ):
        screen.show(delta)
    screen.end()
    shown = capsys.readouterr()
    assert shown.out == "Paris.\n"
    assert shown.err == "Let me see.\n"
    assert screen.answer == "Paris."


def test_an_answer_cannot_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = _Screen()
    screen.show(Delta(reasoning_content="a\x1b[2J"))
    screen.show(Delta(content="b\x1b[2J\n"))
    screen.end()
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("b [2J\n\n", "a [2J\n")
    assert screen.answer == "b\x1b[2J\n"


def test_nothing_to_show_is_not_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    _Screen().end()
    assert capsys.readouterr() == ("", "")
