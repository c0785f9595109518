"""How an answer is written to its caller's inbox: in one piece, or as numbered chunks that end empty."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from nats.aio.client import Client

from schemas import subjects, wire
from schemas.codec import encode
from schemas.completion import Usage
from schemas.errors import LlmError, TooLarge
from worker.jobs import Done, Ended, Piece, Prepared
from worker.transport.api import Api
from worker.transport.style import Head, Style

_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """Where an answer goes."""

    nc: Client
    inbox: str
    request_id: str

    async def fail(self, error: LlmError) -> None:
        await self.send(encode(error.body()), error_headers(error))

    async def send(self, payload: bytes, headers: Mapping[str, str], reply: str = "") -> None:
        """Raises TooLarge for a message that the server would close our connection for."""
        headers = {subjects.REQUEST_ID: self.request_id} | dict(headers)
        limit = self.nc.max_payload
        if (size := wire.size(payload, headers)) > limit:
            reason = f"The answer has {size} bytes, and the NATS server takes {limit} in one message"
            raise TooLarge(f"{reason}; ask for less of it, or for a stream.", code="answer_too_large")
        await self.nc.publish(self.inbox, payload, reply=reply, headers=headers)


def new_id(nc: Client) -> str:
    """For a request that came without one."""
    return nc.new_inbox().rpartition(".")[2]


def error_headers(error: LlmError) -> dict[str, str]:
    sentence = " ".join(error.message.split())
    headers = {subjects.ERROR: sentence, subjects.ERROR_CODE: str(error.status)}
    if error.retry_after is not None:
        headers[subjects.RETRY_AFTER] = str(error.retry_after)
    return headers


def _end_headers(done: Done) -> dict[str, str]:
    return {subjects.FINISH: done.finish, subjects.TOKENS: str(done.usage.total_tokens)}


def begun(api: Api, request_id: str, works: Sequence[Prepared]) -> tuple[Head, Style]:
    """One answer to all of these."""
    first = works[0]
    head = Head(f"{api.prefix}-{request_id}", int(time.time()), first.model)
    return head, api.style(sum(work.choices for work in works), first.alternatives is not None)


class PlainReply:
    """The answer as one message."""

    def __init__(self, caller: Caller, api: Api) -> None:
        self._caller = caller
        self._api = api

    async def open(self, works: Sequence[Prepared]) -> None:
        """Nothing to say before the answer is whole."""
        self._head, self._style = begun(self._api, self._caller.request_id, works)

    async def keep_alive(self) -> None:
        """One message cannot be begun early."""

    async def add(self, event: Piece | Ended) -> None:
        self._style.add(event)

    async def done(self, done: Done) -> None:
        answer = self._style.whole(self._head, done.usage)
        await self._caller.send(encode(answer), _end_headers(done))

    async def fail(self, error: LlmError) -> None:
        await self._caller.fail(error)


class StreamReply:
    """The answer as chunks, numbered from 1 so that a gap shows, and an empty message as its end.

    Each chunk has a reply subject below `watch`: the server answers there when the inbox is gone.
    """

    def __init__(self, caller: Caller, api: Api, watch: str, include_usage: bool) -> None:
        self._caller = caller
        self._api = api
        self._watch = watch
        self._include_usage = include_usage
        self._open: list[int] = []
        self._seq = 0

    async def open(self, works: Sequence[Prepared]) -> None:
        """The first chunk of each choice, before anything is computed: every reader sees that the answer lives."""
        self._head, self._style = begun(self._api, self._caller.request_id, works)
        self._open = list(range(sum(work.choices for work in works)))
        for choice in self._open:
            await self._chunk([self._style.opening(choice)])

    async def keep_alive(self) -> None:
        """Of a choice that still grows: one that has its finish reason is over for its reader."""
        if self._open:
            nothing = self._style.nothing(self._open[0])
            await self._chunk([nothing], headers={subjects.KEEP_ALIVE: "true"})

    async def add(self, event: Piece | Ended) -> None:
        if isinstance(event, Ended):
            self._open.remove(event.choice)
        await self._chunk([self._style.part(event)])

    async def done(self, done: Done) -> None:
        if self._include_usage:
            await self._chunk([], done.usage)
        await self._end(_end_headers(done))

    async def fail(self, error: LlmError) -> None:
        headers = error_headers(error)
        await self._caller.send(encode(error.body()), headers)
        await self._end(headers)

    async def _chunk(
        self, parts: list[Any], usage: Usage | None = None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        # OpenAI: with include_usage every chunk has the field, null until the last.
        chunk = self._style.chunk(self._head, parts, usage if self._include_usage else UNSET)
        self._seq += 1
        reply = f"{self._watch}.{self._seq}"
        await self._caller.send(encode(chunk), {subjects.SEQ: str(self._seq), **headers}, reply)

    async def _end(self, headers: dict[str, str]) -> None:
        """Numbered too: else the loss of the last chunks would not show."""
        self._seq += 1
        await self._caller.send(b"", headers | {subjects.SEQ: str(self._seq)})


Reply = PlainReply | StreamReply
