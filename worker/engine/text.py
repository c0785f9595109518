"""From tokens to what may be shown of them: whole characters, told apart, and never any part of a mark."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Literal, Protocol

from schemas.completion import TokenLogprob
from worker.engine.calls import CallReader, Part, Said, overlap
from worker.jobs import AnswerForm, Arguments, Call, Piece, Text, Thought

BROKEN = "\ufffd"


class Detokenizer(Protocol):
    """As mlx_lm has it: text grows with each token, whole characters at a time."""

    @property
    def last_segment(self) -> str: ...

    def add_token(self, token: int) -> None: ...

    def finalize(self) -> None: ...


class Stops:
    """Holds back what may still become a stop string, and cuts the text exactly where one begins."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self.held = ""
        self.hit = False

    def push(self, text: str) -> str:
        """Text that is safe to show. After `hit` there is no more."""
        text = self.held + text
        # The one that is complete first counts, as it would character by character: any split shows the same.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.hit, self.held = True, ""
            _, start = min(found)
            return text[:start]
        keep = max((overlap(text, stop) for stop in self._stops), default=0)
        cut = len(text) - keep
        self.held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back, once the text has ended without a stop string."""
        text, self.held = self.held, ""
        return text


class Thoughts:
    """Parts the thoughts with which an answer may begin from what follows them.

    Marks are honoured once, at the beginning: an answer may speak of `<think>` without vanishing. White space
    at the marks is layout and dropped.
    """

    def __init__(self, marks: tuple[str, str], inside: bool) -> None:
        self._start, self._end = marks
        self._stage: Literal["opening", "thinking", "leaving", "over"] = "opening"
        self._held = ""
        self._begun = False  # a thought has been shown
        self.inside = inside
        self.touched = inside  # what came last belongs to the thoughts, at least in part

    @property
    def over(self) -> bool:
        """The rest of the answer need not come here."""
        return self._stage == "over"

    def push(self, text: str) -> tuple[str, str]:
        """More of the thoughts, and what follows them."""
        text, self._held = self._held + text, ""
        self.touched, thought = self.inside, ""
        if self._stage == "opening":
            text = self._open(text)
        if self._stage == "thinking":
            thought, text = self._think(text)
        if self._stage == "leaving" and (text := text.lstrip()):
            self._stage = "over"
        return thought, text

    def end(self) -> tuple[str, str]:
        """What was held back, as thought or as what follows."""
        if not self.inside:
            return "", self._held
        return self._held if self._begun else self._held.lstrip(), ""

    def _open(self, text: str) -> str:
        """A start mark may come first, also where the prompt has one already."""
        bare = text.lstrip()
        if bare.startswith(self._start):
            self._stage, self.inside, self.touched = "thinking", True, True
            return bare[len(self._start) :]
        if self._start.startswith(bare):
            self._held = text
            return ""
        self._stage = "thinking" if self.inside else "over"
        return text

    def _think(self, text: str) -> tuple[str, str]:
        text = text if self._begun else text.lstrip()
        found = text.find(self._end)
        if found >= 0:
            self._stage, self.inside = "leaving", False
            return text[:found].rstrip(), text[found + len(self._end) :]
        cut = len(text[: len(text) - overlap(text, self._end)].rstrip())
        self._held, self._begun = text[cut:], self._begun or cut > 0
        return text[:cut], ""


class Logprobs:
    """Keeps what is known of tokens until the text that they begin is shown."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()

    def add(self, at: int, segment: str, logprob: TokenLogprob) -> None:
        """A token that brought `segment`, which stands at `at`. It may bring text of tokens before it, too."""
        own = len(logprob.token) if segment.endswith(logprob.token) else len(segment)
        self._waiting.append((at + len(segment) - own, logprob))

    def take(self, start: int, end: int) -> tuple[TokenLogprob, ...]:
        """Those of the tokens that begin from `start` to `end`. Whatever began before was not to be shown."""
        taken = []
        while self._waiting and self._waiting[0][0] < end:
            at, logprob = self._waiting.popleft()
            if at >= start:
                taken.append(logprob)
        return tuple(taken)


class Transcript:
    """One row's answer as it grows: tokens in, pieces that may be shown out."""

    def __init__(self, detokenizer: Detokenizer, form: AnswerForm, choice: int = 0) -> None:
        self._detokenizer = detokenizer
        self._choice = choice
        self._thoughts = Thoughts(form.think, form.thinking) if form.think else None
        self._calls = CallReader(form.calls, choice) if form.calls else None
        self._stops = Stops(form.stops)
        self._calls_only = form.calls_only
        self._plain = not (form.think or form.calls or form.stops)
        self._logprobs = Logprobs()
        self._tokens = 0
        self._length = 0  # of the text so far, shown or not
        self._content = 0  # where in it the thoughts are over
        self._said = 0  # where in it ends what the stop strings have seen
        self._blank = ""  # white space that is shown only if no call follows
        self.thoughts = 0  # tokens spent on them, marks included
        self.called = False

    @property
    def stopped(self) -> bool:
        """A stop string is complete: there is no more to show."""
        return self._stops.hit

    @property
    def thinking(self) -> bool:
        return self._thoughts is not None and self._thoughts.inside

    def push(self, token: int, logprob: TokenLogprob | None = None) -> list[Piece]:
        if self.stopped:
            return []
        self._detokenizer.add_token(token)
        segment = self._detokenizer.last_segment
        self._tokens += 1
        if logprob is not None:
            self._logprobs.add(self._length, segment, logprob)
        return self._take(segment)

    def end(self) -> list[Piece]:
        """The rest. A character whose last bytes never came is left out rather than shown broken."""
        if self.stopped:
            return []
        self._detokenizer.finalize()
        pieces = self._take(self._detokenizer.last_segment.rstrip(BROKEN))
        if self._thoughts is not None:
            thought, text = self._thoughts.end()
            pieces += [*self._thought(thought), *self._follow(text)]
        if self._calls is not None:
            pieces += self._parts(self._calls.end())
        return _joined([*pieces, *self._flush(), *self._text(self._said - len(self._blank), self._blank)])

    def _take(self, segment: str) -> list[Piece]:
        self._length += len(segment)
        if self._plain:
            return self._text(self._length - len(segment), segment)
        return _joined(
            self._follow(segment) if self._thoughts is None else self._think(self._thoughts, segment)
        )

    def _think(self, thoughts: Thoughts, segment: str) -> list[Piece]:
        thought, text = thoughts.push(segment)
        if thoughts.touched:
            self.thoughts = self._tokens
        if thoughts.inside:
            self._logprobs.take(0, self._length)  # none will be shown, and there may be very many
        if thoughts.over:
            self._thoughts, self._content = None, self._length - len(text)
        return [*self._thought(thought), *self._follow(text)]

    def _thought(self, text: str) -> list[Piece]:
        return [Thought(text, self._choice)] if text else []

    def _follow(self, text: str) -> list[Piece]:
        """What is no thought."""
        if not text:
            return []
        if self._calls is None:
            return self._say(self._length - len(text), text)
        return self._parts(self._calls.push(text))

    def _parts(self, parts: list[Part]) -> list[Piece]:
        pieces: list[Piece] = []
        for part in parts:
            if self.stopped:
                break
            if isinstance(part, Said):
                pieces += self._say(self._content + part.at, part.text)
                continue
            if isinstance(part, Call):
                pieces += self._flush()
                self._blank, self.called = "", True
            pieces.append(part)
        return pieces

    def _say(self, at: int, text: str) -> list[Piece]:
        begin = at - len(self._stops.held)
        self._said = at + len(text)
        return self._show(begin, self._stops.push(text))

    def _flush(self) -> list[Piece]:
        """No stop string can come of what was held back for one."""
        return self._show(self._said - len(self._stops.held), self._stops.flush())

    def _show(self, at: int, text: str) -> list[Piece]:
        at, text = at - len(self._blank), self._blank + text
        cut = len(text) if self._calls is None or self.stopped else len(text.rstrip())
        self._blank = text[cut:]
        return self._text(at, text[:cut])

    def _text(self, at: int, text: str) -> list[Piece]:
        if not text or self._calls_only:
            return []
        return [Text(text, self._choice, self._logprobs.take(at, at + len(text)))]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one kind in one piece."""
    if len(pieces) < 2:
        return pieces
    joined = pieces[:1]
    for piece in pieces[1:]:
        match joined[-1], piece:
            case Text() as last, Text():
                joined[-1] = replace(
                    last, text=last.text + piece.text, logprobs=last.logprobs + piece.logprobs
                )
            case Thought() as last, Thought():
                joined[-1] = replace(last, text=last.text + piece.text)
            case Arguments() as last, Arguments():
                joined[-1] = replace(last, text=last.text + piece.text)
            case _:
                joined.append(piece)
    return joined
