"""A chat's chunks as a response's events: one item after the other, each begun, grown and closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from bridge.responses import answered
from bridge.responses.drafts import CallDraft, Draft, MessageDraft, ThoughtDraft
from schemas.completion import ChatChunk, ChunkChoice, Finish, ToolCallDelta, Usage
from schemas.errors import ErrorDetail
from schemas.responses import events
from schemas.responses.events import Event
from schemas.responses.items import OutputItem
from schemas.responses.response import Response, ResponseFailure

_Draft = TypeVar("_Draft", bound=Draft)


class Stream:
    """Takes the chunks of one answer. After the last one `end()` is the response, to be told with `over()`."""

    def __init__(self, begun: Response) -> None:
        self._response = begun
        self._said = 0
        self._items: list[OutputItem] = []
        self._draft: Draft | None = None
        self._finish: Finish = "stop"
        self._usage: Usage | None = None

    def add(self, chunk: ChatChunk) -> list[Event]:
        begun = self._begin(chunk.model) if self._said == 0 else []
        if chunk.usage is not UNSET and chunk.usage is not None:
            self._usage = chunk.usage
        return begun + [event for choice in chunk.choices for event in self._piece(choice)]

    def end(self, now: int) -> Response:
        response = replace(self._response, output=self._items)
        return answered.ended(response, self._finish, self._usage, now)

    def over(self, response: Response) -> Event:
        kind = events.Incomplete if response.status == "incomplete" else events.Completed
        return self._say(kind, response=response)

    def fail(self, error: ErrorDetail, failure: ResponseFailure) -> list[Event]:
        """What was written so far stays, and says that it is not all."""
        output = [*self._items, *([self._draft.item("incomplete")] if self._draft else [])]
        failed = replace(self._response, status="failed", output=output, error=failure)
        return [
            self._say(events.Error, message=error.message, code=error.code, param=error.param),
            self._say(events.Failed, response=failed),
        ]

    def _begin(self, model: str) -> list[Event]:
        self._response = replace(self._response, model=model)
        return [self._say(kind, response=self._response) for kind in (events.Created, events.InProgress)]

    def _piece(self, choice: ChunkChoice) -> list[Event]:
        delta, found = choice.delta, list[Event]()
        if delta.reasoning_content:
            thoughts, begun = self._growing(ThoughtDraft, "rs")
            found += [*begun, *thoughts.more(delta.reasoning_content)]
        logprobs = (choice.logprobs and choice.logprobs.content) or []
        if delta.content or logprobs:
            message, begun = self._growing(MessageDraft, "msg")
            found += [*begun, *message.more(delta.content or "", logprobs)]
        for call in delta.tool_calls or []:
            found += self._call(call)
        if choice.finish_reason is not None:
            found += self._finished(choice.finish_reason)
        return found

    def _growing(self, kind: type[_Draft], prefix: str) -> tuple[_Draft, list[Event]]:
        """The item of this kind that is being written; else a new one, with the events of its beginning."""
        if isinstance(self._draft, kind):
            return self._draft, []
        before = self._close()
        index = len(self._items)
        draft = kind(self._say, answered.item_id(self._response.id, prefix, index), index)
        self._draft = draft
        return draft, [*before, *draft.begin()]

    def _call(self, call: ToolCallDelta) -> list[Event]:
        found: list[Event] = []
        if call.id:
            found += self._close()
            index = len(self._items)
            name = call.function.name or ""
            self._draft = CallDraft(
                self._say, answered.item_id(self._response.id, "fc", index), index, call.id, name
            )
            found += self._draft.begin()
        if call.function.arguments and isinstance(self._draft, CallDraft):
            found += self._draft.more(call.function.arguments)
        return found

    def _finished(self, finish: Finish) -> list[Event]:
        self._finish = finish
        begun: list[Event] = []
        if self._draft is None and not self._items:
            _, begun = self._growing(MessageDraft, "msg")  # an answer of no words is an answer
        return [*begun, *self._close(finish)]

    def _close(self, finish: Finish = "stop") -> list[Event]:
        if self._draft is None:
            return []
        status = answered.last_status(finish)
        self._items.append(self._draft.item(status))
        found = self._draft.close(status)
        self._draft = None
        return found

    def _say(self, kind: Callable[..., Event], **fields: Any) -> Event:
        event = kind(sequence_number=self._said, **fields)
        self._said += 1
        return event
