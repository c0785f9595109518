"""A stand-in for a worker in `nats-mlx bench bridge`: it has no model, and its answers are there at once.

`python -m bridge.client.emitter` listens as a worker does; an answer is as many chunks as `max_tokens` says.
They leave over a bare socket: with a client library, writing them would take as long as reading them does.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from urllib.parse import urlsplit

import msgspec
from nats.aio.msg import Msg

from bridge.settings import Settings
from schemas import subjects
from schemas.codec import decode, encode
from schemas.completion import ChatChunk, ChunkChoice, Delta
from schemas.runtime import loop
from schemas.runtime.connection import connect

# So many chunks of one answer, then the other answers' turn: a batch gives all of its rows a token in turn.
_TURN = 8


class _Asked(msgspec.Struct):
    max_tokens: int


async def main() -> None:
    chosen = Settings.load()
    nc = await connect(
        chosen.nats_url, chosen.nats_user, chosen.password, name="emitter", wait=True, tls=chosen.tls
    )
    writer, pongs = await _bare(chosen)
    answers: set[asyncio.Task[None]] = {pongs}

    async def on_request(msg: Msg) -> None:
        # As a task: the callbacks of one subscription run one after another.
        answer = asyncio.create_task(_answer(writer, msg.reply, decode(_Asked, msg.data).max_tokens))
        answers.add(answer)
        answer.add_done_callback(answers.discard)

    await nc.subscribe(subjects.CHAT, queue="q", cb=on_request)
    await pongs


async def _answer(writer: StreamWriter, inbox: str, count: int) -> None:
    payload = chunk()
    for start in range(1, count + 1, _TURN):
        numbers = range(start, min(start + _TURN, count + 1))
        writer.write(b"".join(frame(inbox, number, payload) for number in numbers))
        await writer.drain()
        await asyncio.sleep(0)  # drain() alone gives no other answer its turn
    writer.write(frame(inbox, count + 1, b"", f"{subjects.FINISH}: stop\r\n"))


def chunk() -> bytes:
    """One of the size that a token's has."""
    choice = ChunkChoice(0, Delta(content=" token"))
    return encode(ChatChunk("chatcmpl-" + "0" * 32, int(time.time()), "emitter", [choice]))


def frame(inbox: str, number: int, payload: bytes, more: str = "") -> bytes:
    """A message of an answer as NATS's protocol has it, with the headers and the reply subject of a worker's."""
    headers = f"NATS/1.0\r\n{subjects.SEQ}: {number}\r\n{more}\r\n".encode()
    sizes = f"{len(headers)} {len(headers) + len(payload)}"
    return b"HPUB %b _INBOX.worker.%d %b\r\n%b%b\r\n" % (
        inbox.encode(),
        number,
        sizes.encode(),
        headers,
        payload,
    )


async def _bare(chosen: Settings) -> tuple[StreamWriter, asyncio.Task[None]]:
    """A connection to write to, and the task that keeps it; it ends with the connection."""
    place = urlsplit(chosen.nats_url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    login = {"user": chosen.nats_user, "pass": chosen.password, "headers": True, "verbose": False}
    writer.write(b"CONNECT %b\r\n" % encode(login))
    return writer, asyncio.create_task(_pong(reader, writer))


async def _pong(reader: StreamReader, writer: StreamWriter) -> None:
    while line := await reader.readline():
        if line == b"PING\r\n":
            writer.write(b"PONG\r\n")


if __name__ == "__main__":
    loop.run(main())
