"""Tool calls told apart from what is said, while both are written: arguments can be shown as they grow."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from worker.jobs import Arguments, Call, CallFormat

# Up to here the order of the keys lets a call be shown before it is complete.
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"arguments"\s*:\s*\{')
_AFTER = " \t\r\n}],;"  # what models leave behind a call, and nobody misses
_JSON: Callable[[str], Any] = partial(json.loads, strict=False)  # models break lines inside strings


class Said(NamedTuple):
    """Text that is no call, and where in the text it stands."""

    at: int
    text: str


Part = Said | Call | Arguments


def new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def overlap(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark` and is not all of it."""
    longest = min(len(text), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(mark[:n])), 0)


class Numbering:
    """Gives the calls of one choice their ids and indexes."""

    def __init__(self, choice: int, ids: Callable[[], str]) -> None:
        self._choice = choice
        self._ids = ids
        self._made = 0

    def call(self, name: str, chosen: object = None) -> Call:
        """`chosen` is the id that the model has chosen itself, if it is one."""
        self._made += 1
        known = chosen if isinstance(chosen, str) and chosen else self._ids()
        return Call(known, name, self._made - 1, self._choice)

    def arguments(self, text: str) -> Arguments:
        """More of the last call's."""
        return Arguments(text, self._made - 1, self._choice)

    def read(self, text: str, parse: Callable[[str], Any]) -> list[Part]:
        """The calls that a whole text holds; none where it cannot be read."""
        try:
            found = parse(text)
            plain = [_plain(call) for call in (found if isinstance(found, list) else [found])]
        except Exception:
            # Parsers are made for text as it should be and trip in many ways; the text itself is then the answer.
            return []
        return [
            part
            for name, arguments, chosen in plain
            for part in (self.call(name, chosen), self.arguments(arguments))
        ]


def _plain(call: dict[str, Any]) -> tuple[str, str, object]:
    """Name, arguments as JSON, id. Raises whatever comes where they are not there or cannot be sent."""
    name, arguments = call["name"], call.get("arguments")
    if not isinstance(name, str) or not name or not isinstance(arguments, dict | str | None):
        raise ValueError("not a call")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False, allow_nan=False)
    (name + arguments).encode()  # half a surrogate pair, escaped in the model's JSON, cannot leave as UTF-8
    return name, arguments.strip() or "{}", call.get("id")


class Body:
    """What stands between the marks of a call, in a form of the model's own: read once it is complete."""

    def __init__(self, form: CallFormat, numbering: Numbering) -> None:
        self._end = form.end
        self._parse = form.parse or _JSON
        self._numbering = numbering
        self.text = ""
        self.rest: str | None = None  # what follows the end mark, once it is there
        self.unread: int | None = None  # from here on the text was found to be no call

    def push(self, text: str) -> list[Part]:
        before = len(self.text)
        self.text += text
        found = self.text.find(self._end, max(0, before - len(self._end) + 1)) if self._end else -1
        if found < 0:
            return []
        self._cut(found)
        return self._read(0, found)

    def finish(self) -> list[Part]:
        """The answer is over. A call that lacks its end mark may lack more: it counts as text."""
        return self._read(0, 0 if self._end else len(self.text))

    def _cut(self, found: int) -> None:
        behind = found + len(self._end)
        self.text, self.rest = self.text[:behind], self.text[behind:]

    def _read(self, start: int, stop: int) -> list[Part]:
        calls = self._numbering.read(self.text[start:stop], self._parse)
        self.unread = None if calls else start
        return calls


class JsonBody(Body):
    """The same for `{"name": ..., "arguments": {...}}`, whose arguments are shown as they are written.

    It follows strings and nesting only, character by character: how the text was cut into pieces makes no
    difference, and an end mark inside a string is none.
    """

    def __init__(self, form: CallFormat, numbering: Numbering) -> None:
        super().__init__(form, numbering)
        self._at = 0  # read so far
        self._from = 0  # where the object at hand begins
        self._sent = 0  # arguments are shown up to here
        self._depth = 0
        self._string = self._escape = False
        self._known = False  # the object at hand has been shown as a call
        self._growing = False  # its arguments are not complete

    def push(self, text: str) -> list[Part]:
        self.text += text
        parts: list[Part] = []
        while self._at < len(self.text):
            if not self._string and self._end:
                ahead = self.text[self._at : self._at + len(self._end)]
                if ahead == self._end:
                    self._cut(self._at)
                    return [*parts, *self.finish()]
                if self._end.startswith(ahead):
                    break
            parts += self._step(self.text[self._at])
            self._at += 1
        return [*parts, *self._grown(self._at)]

    def finish(self) -> list[Part]:
        """Whether JSON is complete needs no end mark. What was shown stays, even where more should have come."""
        return self._grown(self._at) if self._known else self._read(self._from, self._at)

    def _step(self, char: str) -> list[Part]:
        if self._string:
            self._string = self._escape or char != '"'
            self._escape = char == "\\" and not self._escape
        elif self._depth == 0 and self._known and char not in _AFTER:
            self._from, self._known = self._at, False  # perhaps another call
            return self._step(char)
        elif char == '"':
            self._string = self._depth > 0
        elif char in "{[":
            self._depth += 1
            return self._begin() if self._depth == 2 else []
        elif char in "}]":
            self._depth = max(0, self._depth - 1)
            if self._depth == 1 and self._growing:
                parts = self._grown(self._at + 1)
                self._growing = False
                return parts
        return []

    def _begin(self) -> list[Part]:
        head = _HEAD.fullmatch(self.text, self._from, self._at + 1)
        try:
            name = _JSON(head[1]) if head else ""
            name.encode()
        except ValueError:
            return []
        if not name:
            return []
        self._known = self._growing = True
        self._sent = self._at
        return [self._numbering.call(name)]

    def _grown(self, to: int) -> list[Part]:
        if not self._growing or to <= self._sent:
            return []
        text, self._sent = self.text[self._sent : to], to
        return [self._numbering.arguments(text)]


class CallReader:
    """Text in, what is said and what is called out. A call that cannot be read is said, marks included."""

    def __init__(self, form: CallFormat, choice: int = 0, ids: Callable[[], str] = new_id) -> None:
        self._form = form
        self._numbering = Numbering(choice, ids)
        self._body: Body | None = None
        self._held = ""
        self._at = 0  # where `_held`, or the start mark of `_body`, stands in the text
        self._called = False  # a call came last: white space after it belongs to nobody

    def push(self, text: str) -> list[Part]:
        parts: list[Part] = []
        rest: str | None = text
        while rest is not None:
            rest = self._say(rest, parts) if self._body is None else self._call(self._body, rest, parts)
        return parts

    def end(self) -> list[Part]:
        """What was held back."""
        parts: list[Part] = []
        if self._body is not None:
            parts += self._body.finish()
            self._close(self._body, parts)
        elif self._held:
            parts.append(Said(self._at, self._held))
        return parts

    def _say(self, text: str, parts: list[Part]) -> str | None:
        """Up to a start mark. Returns what follows it."""
        start, text = self._form.start, self._held + text
        if self._called:
            bare = text.lstrip()
            self._at, text = self._at + len(text) - len(bare), bare
        found = text.find(start)
        said = found if found >= 0 else len(text) - overlap(text, start)
        if said:
            parts.append(Said(self._at, text[:said]))
            self._at += said
            self._called = False
        if found < 0:
            self._held = text[said:]
            return None
        self._held = ""
        self._body = (JsonBody if self._form.parse is None else Body)(self._form, self._numbering)
        return text[found + len(start) :]

    def _call(self, body: Body, text: str, parts: list[Part]) -> str | None:
        """Up to the end mark. Returns what follows it."""
        parts += body.push(text)
        if body.rest is not None:
            self._close(body, parts)
        return body.rest

    def _close(self, body: Body, parts: list[Part]) -> None:
        text = self._form.start + body.text
        unread = body.unread
        if unread is not None:
            cut = len(self._form.start) + unread if unread else 0
            parts.append(Said(self._at + cut, text[cut:]))
        self._called = unread is None
        self._at += len(text)
        self._body = None
