"""Lines of files and of stdin, read beside all else: a pipe that is slow must not stop NATS's pings."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from bridge import jsonl
from bridge.publication import Line
from schemas.errors import BadRequest

_CHUNK = 1024 * 1024


async def of_files(files: Iterable[Path]) -> AsyncGenerator[list[Line]]:
    """Each line that is not blank, with those that were read with it; `-` is stdin."""
    for file in files:
        stdin = file == Path("-")
        if file.is_dir():
            raise BadRequest(f"{file} is a directory; name the files in it.")
        descriptor = sys.stdin.fileno() if stdin else os.open(file, os.O_RDONLY)
        try:
            name = "stdin" if stdin else str(file)
            async for block in jsonl.numbered_blocks(chunks(descriptor)):
                yield [Line(f"{name}:{number}", text) for number, text in block]
        finally:
            if not stdin:
                os.close(descriptor)


async def of_descriptor(descriptor: int, longest: int = sys.maxsize) -> AsyncGenerator[bytes]:
    """Lines without their ends, as they come. Of one beyond `longest` bytes, the rest is dropped."""
    async for line in jsonl.lines(chunks(descriptor), longest):
        yield line


async def chunks(descriptor: int) -> AsyncGenerator[bytes]:
    """A file or a pipe as it comes."""
    while chunk := await _read(descriptor):
        yield chunk


async def _read(descriptor: int) -> bytes:
    """Not with a thread: one that sits in a read cannot be ended when the person presses Ctrl-C."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:  # a regular file, which is always ready
        return os.read(descriptor, _CHUNK)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)
