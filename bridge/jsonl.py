"""JSON Lines out of chunks, as files, pipes and uploads bring them; a line of any length costs no memory."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable
from typing import NamedTuple

from schemas import streams

# More than any article may have, so that it is refused for its size; a file that is no JSON Lines is one such.
LONGEST = 2 * streams.ARTICLES.max_msg_size
_BOM = b"\xef\xbb\xbf"


class Numbered(NamedTuple):
    """A line and its number, from 1."""

    number: int
    text: bytes


async def blocks(chunks: AsyncIterable[bytes], longest: int = sys.maxsize) -> AsyncGenerator[list[bytes]]:
    """Lines without their ends, those of one chunk together. Of one beyond `longest` bytes, the rest is dropped."""
    line = bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        line += first[: longest - len(line)]
        block = []
        for other in others:
            block.append(bytes(line))
            line = bytearray(other[:longest])
        if block:
            yield block
    if line:
        yield [bytes(line)]


async def lines(chunks: AsyncIterable[bytes], longest: int = sys.maxsize) -> AsyncGenerator[bytes]:
    """As blocks(), one by one."""
    async for block in blocks(chunks, longest):
        for line in block:
            yield line


async def numbered_blocks(chunks: AsyncIterable[bytes]) -> AsyncGenerator[list[Numbered]]:
    """The lines that are not blank, those of one chunk together."""
    number = 0
    async for block in blocks(chunks, LONGEST):
        found = [Numbered(number + at, raw) for at, raw in enumerate(block, 1)]
        if number == 0:
            found[0] = Numbered(1, block[0].removeprefix(_BOM))
        number += len(block)
        if full := [line for line in found if line.text.strip()]:
            yield full


async def numbered(chunks: AsyncIterable[bytes]) -> AsyncGenerator[Numbered]:
    """As numbered_blocks(), one by one."""
    async for block in numbered_blocks(chunks):
        for line in block:
            yield line
