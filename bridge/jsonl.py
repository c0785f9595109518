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


async def lines(chunks: AsyncIterable[bytes], longest: int = sys.maxsize) -> AsyncGenerator[bytes]:
    """Lines without their ends, as they come. Of one beyond `longest` bytes, the rest is dropped."""
    line = bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        line += first[: longest - len(line)]
        for other in others:
            yield bytes(line)
            line = bytearray(other[:longest])
    if line:
        yield bytes(line)


async def numbered(chunks: AsyncIterable[bytes]) -> AsyncGenerator[Numbered]:
    """Each line that is not blank."""
    number = 0
    async for raw in lines(chunks, LONGEST):
        number += 1
        text = raw.removeprefix(_BOM) if number == 1 else raw
        if text.strip():
            yield Numbered(number, text)
