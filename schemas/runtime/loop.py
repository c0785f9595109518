"""The event loop of both processes: uvloop's where it is installed (the extra `fast`), else asyncio's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from schemas.runtime import spans

T = TypeVar("T")

# Exit codes after which another start would end in the same way: wrong settings, and a house that is not for this
# version (sysexits' EX_CONFIG).
BAD_SETTINGS, CANNOT_RUN = 2, 78

_Factory = Callable[[], asyncio.AbstractEventLoop]


def _fastest() -> _Factory | None:
    """None is asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - nobody needs to have it
    except ImportError:
        return None
    factory: _Factory = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run."""
    with asyncio.Runner(loop_factory=_fastest()) as runner:
        return runner.run(main)


def live(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a process's whole life, and end it with the exit code that `main` returns; 130 after a second Ctrl-C.

    It ends from within its loop: a loop that closes waits for all tasks that it has cancelled, and one of nats-py that
    looks for an absent server may not hear that (on Python 3.11 its `wait_for` loses it at times).
    """
    with contextlib.suppress(KeyboardInterrupt):
        run(_to_the_end(main))
    _leave(130)


async def _to_the_end(main: Coroutine[Any, Any, int]) -> NoReturn:
    _leave(await main)


def _leave(code: int) -> NoReturn:
    """All is settled and said. What is left of the process can only do harm: MLX's device threads now and then abort
    it in their destructors, and the hub's client would hold it until a download is complete.
    """
    spans.stop()
    sys.stderr.flush()
    os._exit(code)


def name() -> str:
    """Of the library whose loop runs, for a line in the log."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
