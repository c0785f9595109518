"""Lines of a file of any size: read as they are wanted, and no line can fill the memory."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge import jsonl
from bridge.cli import lines
from bridge.client.articles import Target, prepare
from schemas.errors import TooLarge


@contextmanager
def pipe(*parts: bytes) -> Iterator[int]:
    """What another process writes, as fast as it is read."""
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb") as file:
            for part in parts:
                file.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    yield ours
    writer.join()
    os.close(ours)


async def read(*parts: bytes) -> list[bytes]:
    with pipe(*parts) as descriptor:
        return [line async for line in lines.of_descriptor(descriptor)]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], []),
        ([b"a\nb"], [b"a", b"b"]),
        ([b"a", b"b\n", b"\n", b"c\n"], [b"ab", b"", b"c"]),
        ([b"x" * 300_000 + b"\n", b"y"], [b"x" * 300_000, b"y"]),
    ],
)
async def test_lines_come_whole(parts: list[bytes], expected: list[bytes]) -> None:
    assert await read(*parts) == expected


async def test_a_line_without_end_is_refused_and_costs_no_memory() -> None:
    mega = b"x" * 2**20
    tracemalloc.start()
    try:
        with pipe(*[mega] * 64, b'\n{"id":"next"}\n') as descriptor:
            sizes = [len(one) async for one in lines.of_descriptor(descriptor, jsonl.LONGEST)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sizes == [jsonl.LONGEST, 13]
    assert peak < 8 * 2**20
    with pytest.raises(TooLarge, match="or more"):
        prepare(b"x" * jsonl.LONGEST, Target())


async def test_a_file_is_read_only_as_far_as_it_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    with file.open("wb") as large:
        large.write(b'{"n":1}\n')
        large.truncate(2**34)  # 16 GB of nothing, which no disk has to hold
    found = lines.of_files([file])
    async with asyncio.timeout(5):
        assert [line.where for line in await anext(found)] == [f"{file}:1"]
    await found.aclose()
