"""A step that hangs ends the process with a log line, for its supervisor to start it again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from worker.engine.watchdog import EXIT_CODE, Watchdog

_BREAK = """
import asyncio, sys, threading
from pathlib import Path
from dataclasses import replace
sys.path[:0] = [{tests!r}]
from conftest import SHAPE
from schemas.chat import ChatRequest
from schemas.messages import UserMessage
from schemas.runtime import log
from worker.engine.catalog import Catalog, Entry
from worker.engine.engine import Engine
from worker.jobs import Job
log.setup("info", "json")

async def main():
    entry = Entry("starter", (), Path({folder!r}), context=8192, bytes=1, preload=True)
    engine = Engine(Catalog([entry]), replace(SHAPE, step_limit={limit}))
    await engine.start()
    work = await engine.prepare(ChatRequest(messages=[UserMessage(content="Hi")]))
    {fault}
    async with engine.run(Job("a", "chat", work)) as run:
        await run.next()
    await asyncio.Event().wait()  # whoever leaves early has its rows taken out

asyncio.run(main())
"""


_BATCH = 'engine._residents._here["starter"].batch'
# A GPU that never comes back, and one that refuses: within a step, and where rows are taken out.
_HANGS = f"{_BATCH}.step = threading.Event().wait"
_HANGS_OUTSIDE = f"{_BATCH}.remove = lambda _: threading.Event().wait()"
_FAILS_OUTSIDE = f"{_BATCH}.remove = lambda _: 1 / 0"


@pytest.mark.parametrize(
    ("fault", "limit", "event"),
    [
        (_HANGS, 1.0, "engine_step_hangs"),
        (_HANGS_OUTSIDE, 1.0, "engine_step_hangs"),
        (_FAILS_OUTSIDE, 60.0, "engine_broken"),
    ],
)
def test_the_process_ends_with_70(folder: Path, fault: str, limit: float, event: str) -> None:
    code = _BREAK.format(tests=str(Path(__file__).parent), folder=str(folder), fault=fault, limit=limit)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == EXIT_CODE == 70, ended.stderr
    last = json.loads(ended.stderr.strip().splitlines()[-1])
    assert (last["event"], last["level"]) == (event, "critical")


def test_work_that_ends_in_time_is_let_go() -> None:
    codes: list[int] = []
    bites = threading.Event()
    dog = Watchdog(0.05, lambda code: (codes.append(code), bites.set()))
    dog.start()
    for _ in range(3):
        with dog.over():
            pass
    assert codes == []
    with dog.over():
        assert bites.wait(10)
    assert codes == [EXIT_CODE]
    dog.stop()
