"""How an answer is written to its caller's inbox: in one piece, or as numbered chunks that end empty."""

from __future__ import annotations

import time

from nats.aio.client import Client

from schemas import subjects
from schemas.chat import (
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Delta,
    ReplyMessage,
)
from schemas.codec import encode
from schemas.errors import LlmError
from worker.jobs import Done


def error_headers(error: LlmError, request_id: str) -> dict[str, str]:
    sentence = " ".join(error.message.split())
    return {
        subjects.REQUEST_ID: request_id,
        subjects.ERROR: sentence,
        subjects.ERROR_CODE: str(error.status),
    }


class PlainReply:
    """The answer as one message."""

    def __init__(self, nc: Client, inbox: str, request_id: str, model: str) -> None:
        self._nc = nc
        self._inbox = inbox
        self._request_id = request_id
        self._model = model
        self._parts: list[str] = []

    async def open(self) -> None:
        """Nothing to say before the answer is whole."""

    async def keep_alive(self) -> None:
        """One message cannot be begun early."""

    async def text(self, text: str) -> None:
        self._parts.append(text)

    async def done(self, done: Done) -> None:
        message = ReplyMessage("".join(self._parts))
        completion = ChatCompletion(
            id=f"chatcmpl-{self._request_id}",
            created=int(time.time()),
            model=self._model,
            choices=[Choice(0, message, done.finish)],
            usage=done.usage,
        )
        headers = {subjects.REQUEST_ID: self._request_id, subjects.FINISH: done.finish}
        await self._nc.publish(self._inbox, encode(completion), headers=headers)

    async def fail(self, error: LlmError) -> None:
        headers = error_headers(error, self._request_id)
        await self._nc.publish(self._inbox, encode(error.body()), headers=headers)


class StreamReply:
    """The answer as chunks, numbered from 1 so that a gap shows, and an empty message as its end.

    Each chunk has a reply subject below `watch`: the server answers there when the inbox is gone.
    """

    def __init__(
        self, nc: Client, inbox: str, request_id: str, model: str, watch: str, include_usage: bool
    ) -> None:
        self._nc = nc
        self._inbox = inbox
        self._request_id = request_id
        self._model = model
        self._watch = watch
        self._include_usage = include_usage
        self._created = int(time.time())
        self._seq = 0

    async def open(self) -> None:
        """The first chunk, before anything is computed, tells every reader that the answer lives."""
        await self._chunk(Delta(role="assistant", content=""))

    async def keep_alive(self) -> None:
        await self._chunk(Delta())

    async def text(self, text: str) -> None:
        await self._chunk(Delta(content=text))

    async def done(self, done: Done) -> None:
        await self._chunk(Delta(), done.finish)
        if self._include_usage:
            await self._send(ChatChunk(self._id, self._created, self._model, [], usage=done.usage))
        headers = {subjects.REQUEST_ID: self._request_id, subjects.FINISH: done.finish}
        await self._end(headers)

    async def fail(self, error: LlmError) -> None:
        headers = error_headers(error, self._request_id)
        await self._nc.publish(self._inbox, encode(error.body()), headers=dict(headers))
        await self._end(headers)

    @property
    def _id(self) -> str:
        return f"chatcmpl-{self._request_id}"

    async def _chunk(self, delta: Delta, finish: str | None = None) -> None:
        choices = [ChunkChoice(0, delta, finish)]
        chunk = ChatChunk(self._id, self._created, self._model, choices)
        if self._include_usage:
            # OpenAI: with include_usage every chunk has the field, null until the last.
            chunk = ChatChunk(self._id, self._created, self._model, choices, usage=None)
        await self._send(chunk)

    async def _send(self, chunk: ChatChunk) -> None:
        self._seq += 1
        headers = {subjects.REQUEST_ID: self._request_id, subjects.SEQ: str(self._seq)}
        reply = f"{self._watch}.{self._seq}"
        await self._nc.publish(self._inbox, encode(chunk), reply=reply, headers=headers)

    async def _end(self, headers: dict[str, str]) -> None:
        """Numbered too: else the loss of the last chunks would not show."""
        self._seq += 1
        await self._nc.publish(self._inbox, b"", headers=headers | {subjects.SEQ: str(self._seq)})


Reply = PlainReply | StreamReply
