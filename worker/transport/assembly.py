"""The style of a chat: the choices of a whole answer, or the deltas of a streamed one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from schemas.completion import (
    ChatChunk,
    ChatCompletion,
    Choice,
    ChoiceLogprobs,
    ChunkChoice,
    Delta,
    Finish,
    FunctionDelta,
    ReplyMessage,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from schemas.tools import FunctionCall, ToolCall
from worker.jobs import Arguments, Call, Ended, Piece, Text, Thought
from worker.transport.style import Head


@dataclass(slots=True)
class _Draft:
    """One choice while it grows."""

    said: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    arguments: dict[int, list[str]] = field(default_factory=dict)
    finish: Finish | None = None

    def message(self) -> ReplyMessage:
        content = "".join(self.said)
        return ReplyMessage(
            content=None if self.calls and not content else content,
            reasoning_content="".join(self.thought) if self.thought else UNSET,
            tool_calls=[self._call(call) for call in self.calls] or UNSET,
        )

    def _call(self, call: Call) -> ToolCall:
        return ToolCall(call.id, FunctionCall(call.name, "".join(self.arguments.get(call.index, []))))


class Assembly:
    """Takes the events of a job, and has the choices of its answer in the end."""

    def __init__(self, choices: int, logprobs: bool) -> None:
        self._drafts = [_Draft() for _ in range(choices)]
        self._logprobs = logprobs

    def add(self, event: Piece | Ended) -> None:
        draft = self._drafts[event.choice]
        match event:
            case Text(text, logprobs=logprobs):
                draft.said.append(text)
                draft.logprobs += logprobs
            case Thought(text):
                draft.thought.append(text)
            case Call():
                draft.calls.append(event)
            case Arguments(text, index):
                draft.arguments.setdefault(index, []).append(text)
            case Ended(finish):
                draft.finish = finish

    def choices(self) -> list[Choice]:
        return [self._choice(index, draft) for index, draft in enumerate(self._drafts)]

    def _choice(self, index: int, draft: _Draft) -> Choice:
        assert draft.finish is not None, f"choice {index} never ended"
        message = draft.message()
        logprobs = None
        if self._logprobs:
            # Of the content's tokens; what is only called or thought has none.
            logprobs = ChoiceLogprobs(None if message.content is None else draft.logprobs)
        return Choice(index, message, draft.finish, logprobs)


def opening(index: int) -> ChunkChoice:
    return ChunkChoice(index, Delta(role="assistant", content=""))


def nothing(index: int) -> ChunkChoice:
    return ChunkChoice(index, Delta())


def piece(event: Piece | Ended) -> ChunkChoice:
    """An event as a piece of its choice, in OpenAI's deltas."""
    match event:
        case Ended(finish, choice):
            return ChunkChoice(choice, Delta(), finish)
        case Text(text, choice, logprobs):
            return ChunkChoice(choice, Delta(content=text), logprobs=_logprobs(logprobs))
        case Thought(text, choice):
            return ChunkChoice(choice, Delta(reasoning_content=text))
        case Call(id, name, index, choice):
            begun = ToolCallDelta(index, FunctionDelta(name, ""), id, "function")
            return ChunkChoice(choice, Delta(tool_calls=[begun]))
        case Arguments(text, index, choice):
            more = ToolCallDelta(index, FunctionDelta(arguments=text))
            return ChunkChoice(choice, Delta(tool_calls=[more]))


def _logprobs(found: Iterable[TokenLogprob]) -> ChoiceLogprobs | None:
    tokens = list(found)
    return ChoiceLogprobs(tokens) if tokens else None


class ChatStyle(Assembly):
    """OpenAI's chat completions."""

    def whole(self, head: Head, usage: Usage) -> ChatCompletion:
        return ChatCompletion(head.id, head.created, head.model, self.choices(), usage)

    def opening(self, choice: int) -> ChunkChoice:
        return opening(choice)

    def nothing(self, choice: int) -> ChunkChoice:
        return nothing(choice)

    def part(self, event: Piece | Ended) -> ChunkChoice:
        return piece(event)

    def chunk(self, head: Head, parts: list[ChunkChoice], usage: Usage | UnsetType | None) -> ChatChunk:
        return ChatChunk(head.id, head.created, head.model, parts, usage=usage)
