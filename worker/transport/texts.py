"""The style of a completion: text that goes on, and tokens with their places in it. Pure."""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Sequence

from msgspec import UnsetType

from schemas.completion import TokenLogprob, TopLogprob, Usage
from schemas.text import TextChoice, TextCompletion, TextLogprobs
from worker.jobs import Ended, Piece, Text
from worker.transport.style import Head


class _Ruler:
    """Where the tokens of one choice begin, in characters. One that is within a character begins where that does."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._length = 0

    def take(self, token: TopLogprob) -> int:
        start = self._length
        self._length += len(self._decoder.decode(bytes(token.bytes)))
        return start


class TextStyle:
    """OpenAI's legacy completions."""

    def __init__(self, choices: int, logprobs: bool) -> None:
        self._parts: list[list[TextChoice]] = [[] for _ in range(choices)]
        self._rulers: defaultdict[int, _Ruler] = defaultdict(_Ruler)
        self._logprobs = logprobs

    def add(self, event: Piece | Ended) -> None:
        self._parts[event.choice].append(self.part(event))

    def whole(self, head: Head, usage: Usage) -> TextCompletion:
        return self.chunk(head, [self._whole(choice) for choice in range(len(self._parts))], usage)

    def opening(self, choice: int) -> TextChoice:
        return TextChoice(choice, "")

    def nothing(self, choice: int) -> TextChoice:
        return TextChoice(choice, "")

    def part(self, event: Piece | Ended) -> TextChoice:
        match event:
            case Ended(finish, choice):
                assert finish != "tool_calls", "nothing is called in a completion"
                return TextChoice(choice, "", finish)
            case Text(text, choice, logprobs):
                return TextChoice(choice, text, logprobs=self._told(choice, logprobs) if logprobs else None)
            case _:
                raise AssertionError("a completion is text alone")

    def chunk(self, head: Head, parts: list[TextChoice], usage: Usage | UnsetType | None) -> TextCompletion:
        return TextCompletion(head.id, head.created, head.model, parts, usage=usage)

    def _whole(self, choice: int) -> TextChoice:
        parts = self._parts[choice]
        logprobs = TextLogprobs([], [], [], []) if self._logprobs else None
        for part in parts:
            if logprobs is not None and part.logprobs is not None:
                logprobs.text_offset.extend(part.logprobs.text_offset)
                logprobs.tokens.extend(part.logprobs.tokens)
                logprobs.token_logprobs.extend(part.logprobs.token_logprobs)
                logprobs.top_logprobs.extend(part.logprobs.top_logprobs)
        return TextChoice(choice, "".join(part.text for part in parts), parts[-1].finish_reason, logprobs)

    def _told(self, choice: int, tokens: Sequence[TokenLogprob]) -> TextLogprobs:
        return TextLogprobs(
            [self._rulers[choice].take(token) for token in tokens],
            [_written(token) for token in tokens],
            [token.logprob for token in tokens],
            # OpenAI: the token itself is always among them, so that there may be one more.
            [{_written(one): one.logprob for one in (*token.top_logprobs, token)} for token in tokens],
        )


def _written(token: TopLogprob) -> str:
    """As OpenAI does it: bytes that are no whole characters would else all look alike."""
    raw = bytes(token.bytes)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
