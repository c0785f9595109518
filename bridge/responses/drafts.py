"""The items of a streamed response while they grow: each knows the events of its beginning, growth and end."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

from schemas.completion import TokenLogprob
from schemas.responses import events
from schemas.responses.events import Event
from schemas.responses.items import (
    CallItem,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Status,
)

# Makes an event with the next number.
Say = Callable[..., Event]


class Draft(abc.ABC):
    """One item."""

    def __init__(self, say: Say, item_id: str, index: int) -> None:
        self._say, self._id, self._index = say, item_id, index
        self._at: dict[str, Any] = {"item_id": item_id, "output_index": index}
        self._texts: list[str] = []

    @abc.abstractmethod
    def item(self, status: Status) -> OutputItem:
        """What it is so far."""

    @abc.abstractmethod
    def begin(self) -> list[Event]: ...

    @abc.abstractmethod
    def close(self, status: Status) -> list[Event]: ...

    def _added(self, item: OutputItem) -> Event:
        return self._say(events.ItemAdded, output_index=self._index, item=item)

    def _done(self, item: OutputItem) -> Event:
        return self._say(events.ItemDone, output_index=self._index, item=item)

    def _text(self) -> str:
        return "".join(self._texts)


class MessageDraft(Draft):
    """What is said."""

    def __init__(self, say: Say, item_id: str, index: int) -> None:
        super().__init__(say, item_id, index)
        self._logprobs: list[TokenLogprob] = []

    def item(self, status: Status) -> OutputMessage:
        return OutputMessage(id=self._id, status=status, content=[self._part()])

    def begin(self) -> list[Event]:
        empty = OutputMessage(id=self._id, status="in_progress", content=[])
        return [self._added(empty), self._say(events.PartAdded, **self._at, part=self._part())]

    def more(self, text: str, logprobs: Sequence[TokenLogprob]) -> list[Event]:
        self._texts.append(text)
        self._logprobs += logprobs
        return [self._say(events.TextDelta, **self._at, delta=text, logprobs=list(logprobs))]

    def close(self, status: Status) -> list[Event]:
        part = self._part()
        return [
            self._say(events.TextDone, **self._at, text=part.text, logprobs=part.logprobs),
            self._say(events.PartDone, **self._at, part=part),
            self._done(self.item(status)),
        ]

    def _part(self) -> OutputText:
        return OutputText(self._text(), logprobs=list(self._logprobs))


class ThoughtDraft(Draft):
    """What is thought."""

    def item(self, status: Status) -> ReasoningItem:
        return ReasoningItem(id=self._id, content=[self._part()], status=status)

    def begin(self) -> list[Event]:
        empty = ReasoningItem(id=self._id, content=[], status="in_progress")
        return [self._added(empty), self._say(events.PartAdded, **self._at, part=self._part())]

    def more(self, text: str) -> list[Event]:
        self._texts.append(text)
        return [self._say(events.ThoughtDelta, **self._at, delta=text)]

    def close(self, status: Status) -> list[Event]:
        part = self._part()
        return [
            self._say(events.ThoughtDone, **self._at, text=part.text),
            self._say(events.PartDone, **self._at, part=part),
            self._done(self.item(status)),
        ]

    def _part(self) -> ReasoningText:
        return ReasoningText(self._text())


class CallDraft(Draft):
    """What is called."""

    def __init__(self, say: Say, item_id: str, index: int, call_id: str, name: str) -> None:
        super().__init__(say, item_id, index)
        self._call_id, self._name = call_id, name

    def item(self, status: Status) -> CallItem:
        return CallItem(
            id=self._id, status=status, call_id=self._call_id, name=self._name, arguments=self._text()
        )

    def begin(self) -> list[Event]:
        return [self._added(self.item("in_progress"))]

    def more(self, text: str) -> list[Event]:
        self._texts.append(text)
        return [self._say(events.ArgumentsDelta, **self._at, delta=text)]

    def close(self, status: Status) -> list[Event]:
        item = self.item(status)
        done = self._say(events.ArgumentsDone, **self._at, arguments=item.arguments, name=item.name)
        return [done, self._done(item)]
