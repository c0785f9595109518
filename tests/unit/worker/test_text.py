"""What may be shown of an answer as it grows: up to the first stop string, in whole characters."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.engine.text import Stops, Transcript
from worker.jobs import AnswerForm, Piece, Text


def show(pieces: list[str], *stops: str) -> list[str]:
    """What each piece lets through, and at the end what was held back."""
    state = Stops(stops)
    shown = []
    for piece in pieces:
        shown.append(state.push(piece))
        if state.hit:
            return shown
    return [*shown, state.flush()]


def expected(text: str, stops: tuple[str, ...]) -> str:
    """Up to the stop string that is complete first; of two that end together, the longer one."""
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)[1]] if found else text


def test_without_stops_all_is_shown_at_once() -> None:
    assert show(["a", "", "b\n"]) == ["a", "", "b\n", ""]


def test_a_stop_string_is_cut_out_with_what_follows() -> None:
    assert show(["one STOP two"], "STOP") == ["one "]


def test_a_stop_string_may_cross_pieces() -> None:
    assert show(["one S", "T", "OP two"], "STOP") == ["one ", "", ""]


def test_what_might_have_become_a_stop_string_is_shown_when_it_did_not() -> None:
    assert show(["one S", "T", "IR"], "STOP") == ["one ", "", "STIR", ""]


def test_what_is_held_back_is_shown_at_the_end() -> None:
    assert show(["one ST"], "STOP") == ["one ", "ST"]


def test_no_more_is_held_back_than_must_be() -> None:
    assert show(["aab", "aab"], "aac") == ["aab", "aab", ""]
    assert show(["xaa", "a"], "aab") == ["x", "a", "aa"]


def test_a_stop_string_that_overlaps_itself() -> None:
    assert show(["a", "b", "a", "b", "a", "c"], "abac") == ["", "", "", "ab", "", ""]


def test_the_first_of_several_in_the_text_wins() -> None:
    assert show(["one, two. three"], ".", ",") == ["one"]
    assert show(["ab", "cd"], "bcd", "c") == ["a", "b"]
    assert show(["ab", "cd"], "bc", "c") == ["a", ""]


@pytest.mark.parametrize("pieces", [["aba"], ["a", "b", "a"], ["ab", "a"], ["a", "ba"]])
def test_one_inside_another_is_complete_before_it(pieces: list[str]) -> None:
    """Which one counts must not hang on where the tokens happen to end."""
    assert "".join(show(pieces, "aba", "b")) == "a"


def test_one_may_begin_another() -> None:
    assert show(["a#", "#b"], "##", "#") == ["a"]


def test_a_stop_string_of_one_character_holds_nothing_back() -> None:
    assert show(["a", "b", "\n"], "\n") == ["a", "b", ""]


def test_after_the_stop_there_is_nothing_to_flush() -> None:
    state = Stops(("!", "##"))
    assert state.push("a#b!##") == "a#b"
    assert state.hit
    assert state.flush() == ""


letters = st.text(alphabet="ab한", max_size=12)


@given(
    st.lists(letters, max_size=8),
    st.lists(st.text(alphabet="ab한", min_size=1, max_size=4), max_size=4).map(tuple),
)
@example(["a", "", "b"], ("ab",))
@example(["ab", "a"], ("aba", "b"))
def test_any_split_shows_the_text_up_to_the_first_stop(pieces: list[str], stops: tuple[str, ...]) -> None:
    shown = show(pieces, *stops)
    text = "".join(pieces)
    assert "".join(shown) == expected(text, stops)
    for count in range(1, len(shown)):  # nothing shown is ever taken back
        assert expected(text, stops).startswith("".join(shown[:count]))


@given(st.lists(letters, max_size=8), st.text(alphabet="ab한", min_size=1, max_size=4))
def test_only_the_beginning_of_a_stop_string_is_held_back(pieces: list[str], stop: str) -> None:
    state = Stops((stop,))
    text = ""
    for piece in pieces:
        text += piece
        shown = state.push(piece)
        if state.hit:
            return
        held = state.held
        assert text.endswith(shown + held)
        assert stop.startswith(held)
        assert len(held) < len(stop)


class Bytes:
    """A detokenizer of single bytes: like a real one it shows whole characters only."""

    def __init__(self) -> None:
        self._bytes = b""
        self.last_segment = ""

    def add_token(self, token: int) -> None:
        self._bytes += bytes([token])
        self.last_segment = ""
        text = self._bytes.decode(errors="replace")
        if not text.endswith("\ufffd"):
            self.last_segment, self._bytes = text, b""

    def finalize(self) -> None:
        self.last_segment, self._bytes = self._bytes.decode(errors="replace"), b""


def said(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def transcribe(tokens: bytes, *stops: str) -> tuple[list[str], bool]:
    transcript = Transcript(Bytes(), AnswerForm(stops=stops))
    shown = []
    for token in tokens:
        shown.append(said(transcript.push(token)))
        if transcript.stopped:
            return shown, True
    shown.append(said(transcript.end()))
    return shown, transcript.stopped


def test_a_character_is_shown_when_it_is_whole() -> None:
    assert transcribe("가".encode()) == (["", "", "가", ""], False)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_half_a_character_at_the_end_is_left_out(cut: int) -> None:
    shown, _ = transcribe("한 🚀".encode()[:-cut])
    assert "".join(shown) == "한 "


def test_the_end_brings_what_was_held_back() -> None:
    assert transcribe(b"one S", "STOP") == (["o", "n", "e", " ", "", "S"], False)


def test_a_stop_string_of_many_bytes() -> None:
    assert transcribe("비트코인 끝 더".encode(), "끝") == ([*_whole("비트코인 "), "", "", ""], True)


def _whole(text: str) -> list[str]:
    return [piece for char in text for piece in [""] * (len(char.encode()) - 1) + [char]]


def test_what_the_end_brings_may_complete_a_stop_string() -> None:
    """The detokenizers of mlx_lm keep a last blank to themselves until they are finalized."""

    class Late(Bytes):
        def add_token(self, token: int) -> None:
            self.last_segment = chr(token) if chr(token) != " " else ""
            self._bytes = b" " if chr(token) == " " else b""

    transcript = Transcript(Late(), AnswerForm(stops=(". ",)))
    assert [said(transcript.push(ord(char))) for char in "a. "] == ["a", "", ""]
    assert transcript.end() == []
    assert transcript.stopped


@given(st.text(max_size=12), st.integers(0, 3))
def test_shown_text_is_whole_characters_of_the_answer(text: str, missing: int) -> None:
    clean = text.replace("\ufffd", "")
    tokens = clean.encode()
    shown = "".join(transcribe(tokens[: len(tokens) - missing])[0])
    assert clean.startswith(shown)
    assert len(shown.encode()) > len(tokens) - missing - 4
