"""One streamed chat and its times: through NATS, or through the bridge."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp

from bridge.client import Client, chat
from schemas import subjects
from schemas.codec import decode, encode
from schemas.completion import ChatChunk, ChatCompletion, Usage
from schemas.errors import EngineFailed, ErrorBody

_PATIENCE = 3600.0
_EVENT = b"data: "


class Heard(NamedTuple):
    """Seconds until the first text and until the end, and the tokens."""

    first: float
    seconds: float
    usage: Usage


def body(prompt: str, tokens: int, eos: list[int]) -> dict[str, Any]:
    """Always so many tokens: the ones that would end the answer are biased away."""
    return {
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": tokens,
        "logit_bias": {str(token): -100 for token in eos},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def question(number: int) -> str:
    """About 60 tokens with the starter's template. No two begin alike: of one nothing is ready for another but what
    the template puts before both, a default system prompt among it.
    """
    return (
        f"{10_000 + number % 90_000}: A friend asks me why the price of a coin moves so much in a single day. "
        "Please explain it to him in plain words."
    )


async def over_nats(nc: Client, request: dict[str, Any]) -> Heard:
    headers = {subjects.REQUEST_ID: uuid.uuid4().hex}
    listener = _Listener()
    async with chat.stream(
        nc, subjects.CHAT, encode(request), headers, first=_PATIENCE, idle=_PATIENCE
    ) as replies:
        async for reply in replies:
            if not reply.ok:
                raise EngineFailed(decode(ErrorBody, reply.body).error.message)
            listener.hear(reply.body)
    return listener.heard()


async def whole(nc: Client, request: dict[str, Any]) -> Usage:
    """One that is not streamed."""
    headers = {subjects.REQUEST_ID: uuid.uuid4().hex}
    reply = await chat.ask(nc, subjects.CHAT, encode(request), headers, timeout=_PATIENCE)
    if not reply.ok:
        raise EngineFailed(decode(ErrorBody, reply.body).error.message)
    return decode(ChatCompletion, reply.body).usage


async def over_http(session: aiohttp.ClientSession, request: dict[str, Any]) -> Heard:
    listener = _Listener()
    async with session.post("/v1/chat/completions", json=request) as response:
        if response.status != 200:
            raise EngineFailed(decode(ErrorBody, await response.read()).error.message)
        async for line in response.content:
            if line.startswith(_EVENT + b"{"):
                listener.hear(line.removeprefix(_EVENT))
    return listener.heard()


@contextlib.asynccontextmanager
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=None)) as session:
        yield session


class _Listener:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first = 0.0
        self._usage: Usage | None = None

    def hear(self, chunk: bytes) -> None:
        found = decode(ChatChunk, chunk)
        if not self._first and any(choice.delta.content for choice in found.choices):
            self._first = time.monotonic() - self._started
        if isinstance(found.usage, Usage):
            self._usage = found.usage

    def heard(self) -> Heard:
        if self._usage is None:
            raise EngineFailed("The answer broke off.")
        return Heard(self._first, time.monotonic() - self._started, self._usage)
