"""The README's blocks: what it shows is what the tests run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
_PIECE = re.compile(
    r"^(?P<heading>#+ [^\n]*)$|^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A block of code, and the heading that it stands below."""

    heading: str
    language: str
    text: str


class Shown(NamedTuple):
    """A command of a block, and the lines that it is said to print."""

    command: str
    lines: list[str]


def blocks() -> Iterator[Block]:
    heading = ""
    for piece in _PIECE.finditer(TEXT):
        heading = piece["heading"] or heading
        if piece["language"]:
            yield Block(heading, piece["language"], piece["text"])


def block(heading: str, language: str) -> str:
    """The first of this language below this heading."""
    return next(one.text for one in blocks() if one[:2] == (heading, language))


def shown(heading: str) -> list[Shown]:
    """The first block of commands with their output below this heading."""
    found: list[Shown] = []
    for line in block(heading, "console").splitlines():
        if line.startswith("$ "):
            found.append(Shown(line[2:], []))
        else:
            found[-1].lines.append(line)
    return found
