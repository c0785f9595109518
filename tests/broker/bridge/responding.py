"""A worker that answers each request with the events that it was given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nats.aio.msg import Msg

from schemas import subjects
from schemas.codec import encode
from schemas.completion import ChatChunk, ChatCompletion, Usage
from worker.jobs import Ended, Piece
from worker.transport import assembly
from worker.transport.assembly import Assembly

if TYPE_CHECKING:
    from conftest import Script

USAGE = Usage(3, 2, 5)


class Model:
    """Answers each request with the same events, and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.asked: list[dict[str, Any]] = []

    def says(self, *events: Piece | Ended, broken: bytes | None = None) -> None:
        async def answer(message: Msg) -> None:
            request = json.loads(message.data)
            self.asked.append({name: value for name, value in request.items() if value is not None})
            await (self._stream if request.get("stream") else self._whole)(message, events, broken)

        self._script.answer = answer

    async def _whole(self, message: Msg, told: tuple[Piece | Ended, ...], _: bytes | None) -> None:
        parts = Assembly(1, logprobs=True)
        for event in told:
            parts.add(event)
        body = encode(ChatCompletion("c", 1, "m", parts.choices(), USAGE))
        await self._script.nc.publish(message.reply, body, headers={subjects.FINISH: "stop"})

    async def _stream(self, message: Msg, told: tuple[Piece | Ended, ...], broken: bytes | None) -> None:
        choices = [assembly.opening(0), assembly.nothing(0), *map(assembly.piece, told)]
        chunks = [ChatChunk("c", 1, "m", [choice]) for choice in choices]
        chunks.append(ChatChunk("c", 1, "m", [], usage=USAGE))
        for number, chunk in enumerate(chunks, 1):
            await self._script.chunk(message, number, encode(chunk))
        if broken is not None:
            await self._script.fail(message, broken, 500)
        else:
            await self._script.end(message)
