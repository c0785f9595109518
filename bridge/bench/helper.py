"""The worker's half of a benchmark, as a process of its own: this package knows no model."""

from __future__ import annotations

import contextlib
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec

from bridge.bench.child import child
from bridge.up.programs import need_worker, of_model, python
from schemas.codec import encode
from schemas.errors import LlmError, Unavailable
from schemas.runtime.bench import Answer, Command, Fault

T = TypeVar("T")
# A line holds hundreds of articles.
_LONGEST = 1 << 28
_decoder = msgspec.json.Decoder(Answer)


class Helper:
    """Answers one command after another; whatever it has loaded stays until it ends."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ask(self, command: Command, kind: type[T]) -> T:
        """Raises what the helper could not do, and Unavailable when it died of it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(encode(command) + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise Unavailable("The benchmark's helper ended; what it said is above.")
        answer = _decoder.decode(line)
        if isinstance(answer, Fault):
            raise LlmError(answer.message)
        assert isinstance(answer, kind)
        return answer


@contextlib.asynccontextmanager
async def helper(model: str | None, **settings: str) -> AsyncIterator[Helper]:
    """A helper with the worker's own settings, a model of this choice, and other `settings` by their variables."""
    need_worker()
    env = os.environ | {"NATS_MLX_LOG_LEVEL": "warning"} | of_model(model) | settings
    async with child(python("worker", "bench"), env, stdin=PIPE, stdout=PIPE, limit=_LONGEST) as process:
        yield Helper(process)
