"""What a terminal of 80 columns is shown beside the answer: a bar, in colour or without, and none of it in a pipe."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from tests.e2e import natscli

if TYPE_CHECKING:
    from conftest import Mover, Server

_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def said(server: Server, folder: Path, command: str, **settings: str) -> str:
    """On a terminal."""
    (folder / "a.jsonl").write_text(
        "".join(f'{{"id":"a{n}","title":"t{n}","body":"b"}}\n' for n in range(40))
    )
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("NATS", "NO_COLOR"))}
    env = mine | {
        "NATS_URL": server.url,
        "NATS_USER": "publisher",
        "NATS_PASSWORD": server.credentials.password("publisher"),
        "NATS_MLX_DATA_DIR": str(folder / "none"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{mine['PATH']}",
        "TERM": "xterm-256color",
    }
    [text] = await asyncio.to_thread(natscli.run, [command], env | settings, folder, 80)
    return text


@pytest.mark.parametrize(("settings", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
async def test_a_bar_goes_to_its_end(
    server: Server, moving: Mover, tmp_path: Path, settings: dict[str, str], coloured: bool
) -> None:
    text = await said(server, tmp_path, "nats-mlx publish a.jsonl --wait", **settings)
    shown = [line for line in re.split(r"[\r\n]", _ESCAPE.sub("", text)) if line.strip()]
    bars = [line for line in shown if "━" in line]
    assert bars and "40 analysed" in bars[-1]
    assert shown[-1].startswith("40 published, 40 analysed, 0 dead (")
    assert max(map(cell_len, shown)) <= 80
    assert bool(_COLOUR.search(text)) == coloured


async def test_a_pipe_has_none_of_it(server: Server, moving: Mover, tmp_path: Path) -> None:
    text = await said(server, tmp_path, "nats-mlx publish a.jsonl --wait 2>&1 | cat")
    assert "\x1b" not in text and text.startswith("40 published, 40 analysed, 0 dead (")
