"""The device that computes: work is handed to it, and Python goes on, where it can."""

from __future__ import annotations

import time
from typing import Any, cast

import mlx.core as mx


def start(*arrays: Any) -> None:
    """Have these computed; whoever needs their values waits for them."""
    cast(Any, mx).async_eval(*arrays)  # it has no types


def done() -> float:
    """Waits until all is computed that was started; the time then, in seconds of the monotonic clock."""
    mx.synchronize()
    return time.monotonic()


def overlaps() -> bool:
    """Whether the device works while Python does. On the CPU `start` returns when nearly all is computed."""
    return bool(mx.default_device() == mx.gpu)
