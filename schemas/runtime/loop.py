"""The event loop of both processes: uvloop's where it is installed (the extra `fast`), else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

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


def name() -> str:
    """Of the library whose loop runs, for a line in the log."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
