"""Runs that equal requests share: the work is done once, and each reader has all of it, at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace

from schemas.errors import EngineFailed, LlmError
from schemas.runtime import log as logs
from worker.engine.calls import new_id
from worker.engine.run import Run
from worker.jobs import Arguments, Call, Done, Event, Failed, Job, Text, Thought

log = logs.get("worker.shared")

Emit = Callable[[Event], None]
# Emits the events of an answer, the last of them its end. What it does after that holds up nobody.
Work = Callable[[Emit], Awaitable[None]]

# Characters in a piece after which another one begins: the messages of NATS have a limit.
_LONGEST = 4096


class _Flow:
    """The events of one run so far, and who reads them. It lives as long as the work does."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.over = False
        self._events: list[Event] = []
        self._readers: set[Run] = set()

    def emit(self, event: Event) -> None:
        self.over = isinstance(event, Done | Failed)
        if self._events and (joined := _joined(self._events[-1], event)) is not None:
            self._events[-1] = joined
        else:
            self._events.append(event)
        for reader in self._readers:
            reader.events.put_nowait(_own(event))

    def join(self, reader: Run) -> None:
        """Whoever comes later finds at once what was there before."""
        for event in self._events:
            reader.events.put_nowait(_own(event))
        self._readers.add(reader)

    def leave(self, reader: Run) -> bool:
        """Whether nobody waits for it any more."""
        self._readers.discard(reader)
        return not (self._readers or self.over)


def _own(event: Event) -> Event:
    """Ids of calls are unique: two readers may keep theirs in one place."""
    return replace(event, id=new_id()) if isinstance(event, Call) else event


def _joined(last: Event, event: Event) -> Event | None:
    """Both in one where they differ in nothing but their text: a latecomer gets few pieces, not one a token."""
    pieces = Text | Thought | Arguments
    if not (isinstance(last, pieces) and isinstance(event, pieces)) or len(last.text) >= _LONGEST:
        return None
    if replace(last, text=event.text) != event or (isinstance(event, Text) and event.logprobs):
        return None
    return replace(event, text=last.text + event.text)


class SharedRuns:
    """Work under way, by key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Flow] = {}

    @asynccontextmanager
    async def run(self, key: Hashable, job: Job, work: Work) -> AsyncIterator[Run]:
        """The events of the work with this key; `work` begins it where nobody else has.

        Leaving early disturbs no other reader; when the last one does, the work is cancelled. Its failure is
        everybody's, and whoever comes after that begins anew.
        """
        flow = self._under_way.get(key)
        if flow is None:
            flow = self._under_way[key] = _Flow()
            flow.task = asyncio.create_task(self._drive(key, flow, work))
        reader = Run(job)
        flow.join(reader)
        try:
            yield reader
        finally:
            if flow.leave(reader):
                # Forgotten here: nobody may join what is about to end, and a task may be cancelled before it began.
                self._forget(key, flow)
                flow.task.cancel()

    async def _drive(self, key: Hashable, flow: _Flow, work: Work) -> None:
        try:
            await work(flow.emit)
        except LlmError as error:
            flow.emit(Failed(error))
        except Exception:
            log.exception("shared_run_failed")
            flow.emit(Failed(EngineFailed("The worker failed on this request; its log says why.")))
        finally:
            self._forget(key, flow)

    def _forget(self, key: Hashable, flow: _Flow) -> None:
        if self._under_way.get(key) is flow:
            del self._under_way[key]
