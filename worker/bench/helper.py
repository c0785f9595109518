"""`python -m worker bench`: carries out the commands of `nats-mlx bench`, one JSON line each, until its input ends."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import BinaryIO

import msgspec

from schemas.codec import encode
from schemas.errors import LlmError
from schemas.runtime import log as logs
from schemas.runtime import loop
from schemas.runtime.bench import Answer, Command, Fault
from worker.bench.desk import Desk
from worker.engine.catalog import Catalog
from worker.settings import Settings

_decoder = msgspec.json.Decoder(Command)


def main() -> int:
    """Serve whoever started us; returns the exit code."""
    settings = Settings.load()
    logs.setup(settings.log_level, settings.log_format)
    loop.run(_serve(settings, _own_stdout()))
    return 0


def _own_stdout() -> BinaryIO:
    """Libraries that print would spoil the answers: what they say goes to stderr."""
    ours = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return ours


async def _serve(settings: Settings, answers: BinaryIO) -> None:
    desk = Desk(settings, Catalog.load(settings))
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        answers.write(encode(await _answer(desk, line)) + b"\n")
        answers.flush()
    await desk.close()


async def _answer(desk: Desk, line: bytes) -> Answer:
    try:
        return await desk.answer(_decoder.decode(line))
    except LlmError as error:
        return Fault(error.message)
