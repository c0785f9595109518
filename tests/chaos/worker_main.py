"""`python -m worker` for these tests: the worker's own app, with the stub in the engine's place and waits that are
short enough for a test. The product has no switch for either.
"""

from __future__ import annotations

import os
import sys

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
    streams.MOVER = msgspec.structs.replace(streams.MOVER, ack_wait=ack_wait)
    streams.CONSUMERS = (*streams.LANE_CONSUMERS.values(), streams.MOVER)


def main() -> None:
    if "CHAOS_ACK_WAIT" in os.environ:
        shorten(float(os.environ["CHAOS_ACK_WAIT"]))
    if os.environ.get("CHAOS_ENGINE") != "real":
        from tests.chaos import stub

        # Before anybody imports them: MLX takes two seconds, and this process is killed hundreds of times.
        sys.modules["worker.engine.engine"] = sys.modules["worker.engine.catalog"] = stub
    from worker import app

    app.main()


if __name__ == "__main__":
    main()
