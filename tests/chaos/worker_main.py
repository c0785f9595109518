"""The worker's own app with the stub in the engine's place and short waits: the product has no switch for either."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec

from schemas import streams


def shorten(ack_wait: float) -> None:
    """The same proportions as the contract's, in seconds of a test's. Each worker makes the consumers so."""
    scale = ack_wait / streams.ACK_WAIT
    delay = streams.retry_delay
    streams.ACK_WAIT = ack_wait
    streams.IN_PROGRESS_EVERY *= scale
    streams.retry_delay = lambda attempts: delay(attempts) * scale
    for lane, consumer in streams.LANE_CONSUMERS.items():
        streams.LANE_CONSUMERS[lane] = msgspec.structs.replace(consumer, ack_wait=ack_wait)
    streams.LINE_CONSUMER = msgspec.structs.replace(streams.LINE_CONSUMER, ack_wait=ack_wait)
    streams.MOVER = msgspec.structs.replace(streams.MOVER, ack_wait=ack_wait)
    streams.WORK_CONSUMERS = (*streams.LANE_CONSUMERS.values(), streams.LINE_CONSUMER)
    streams.CONSUMERS = (*streams.WORK_CONSUMERS, streams.KEEPER, streams.MOVER)


def jump(clock: Path) -> None:
    """The wall clock is off by the seconds in this file, which may change at any moment."""
    real = time.time
    time.time = lambda: real() + float(clock.read_text())

    class Moved(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime.fromtimestamp(time.time(), tz)

    from worker.transport import article, ledger, presence

    for module in (article, ledger, presence):
        module.dt = SimpleNamespace(datetime=Moved, UTC=dt.UTC)


def main() -> None:
    if "CHAOS_ACK_WAIT" in os.environ:
        shorten(float(os.environ["CHAOS_ACK_WAIT"]))
    if os.environ.get("CHAOS_ENGINE") != "real":
        from tests.chaos import stub

        # Before anybody imports them: MLX takes two seconds, and this process is killed hundreds of times.
        sys.modules["worker.engine.engine"] = sys.modules["worker.engine.catalog"] = stub
    if "CHAOS_CLOCK" in os.environ:
        jump(Path(os.environ["CHAOS_CLOCK"]))
    from worker import app

    app.main()


if __name__ == "__main__":
    main()
