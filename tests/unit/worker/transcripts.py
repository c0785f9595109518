"""Answers written in any split into tokens, and what comes out of them."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from schemas.completion import TokenLogprob
from worker.engine.text import Transcript
from worker.jobs import AnswerForm, Arguments, Call, Piece, Text, Thought


class Pieces:
    """A detokenizer whose tokens are the given pieces of text, by their number."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self.last_segment = ""

    def add_token(self, token: int) -> None:
        self.last_segment = self._pieces[token]

    def finalize(self) -> None:
        self.last_segment = ""


def logprob(token: str, number: int) -> TokenLogprob:
    """`logprob` is the token's number, by which a test knows it again."""
    return TokenLogprob(token, number, list(token.encode()), [])


def steps(form: AnswerForm, pieces: list[str]) -> tuple[Transcript, list[list[Piece]]]:
    """What each token brings, and at last the end; nothing more after a stop string."""
    transcript = Transcript(Pieces(pieces), form)
    shown = []
    for number, piece in enumerate(pieces):
        shown.append(transcript.push(number, logprob(piece, number)))
        if transcript.stopped:
            return transcript, shown
    return transcript, [*shown, transcript.end()]


def write(form: AnswerForm, *pieces: str) -> list[Piece]:
    return flat(steps(form, list(pieces))[1])


def summed(pieces: list[Piece]) -> list[Any]:
    """Neighbours of one kind put together; ids are random and logprobs hang on the split: without them."""
    summed: list[Any] = []
    for piece in pieces:
        last = summed[-1] if summed else None
        match piece:
            case Call():
                summed.append(replace(piece, id=""))
            case Text() | Thought() | Arguments() if type(last) is type(piece):
                summed[-1] = replace(last, text=last.text + piece.text)
            case Text():
                summed.append(replace(piece, logprobs=()))
            case _:
                summed.append(piece)
    return summed


def flat(steps: list[list[Piece]]) -> list[Piece]:
    return [piece for step in steps for piece in step]


def said(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def thought(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Thought))


def called(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Name and arguments of each call."""
    calls: list[tuple[str, str]] = []
    for piece in pieces:
        if isinstance(piece, Call):
            assert piece.index == len(calls)
            calls.append((piece.name, ""))
        elif isinstance(piece, Arguments):
            assert piece.index == len(calls) - 1
            calls[-1] = (calls[-1][0], calls[-1][1] + piece.text)
    return calls


def numbers(pieces: list[Piece]) -> list[int]:
    """The tokens whose logprobs came."""
    return [int(entry.logprob) for piece in pieces if isinstance(piece, Text) for entry in piece.logprobs]


def cut(text: str, at: set[int]) -> list[str]:
    edges = [0, *sorted(place for place in at if 0 < place < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


PLACES = st.sets(st.integers(1, 120), max_size=30)
