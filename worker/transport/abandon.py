"""Notices that a stream's reader is gone: the server answers each chunk into the void with a 503."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription


@dataclass(slots=True)
class _Watched:
    cancel: Callable[[], object]
    since: float = 0.0
    seq: int = -1


class Abandonment:
    """One inbox for the 503s of all streams. A reader that reconnects within `grace` seconds is forgiven."""

    def __init__(self, nc: Client, grace: float) -> None:
        self._nc = nc
        self._grace = grace
        self._prefix = nc.new_inbox()
        self._watched: dict[str, _Watched] = {}
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        self._subscription = await self._nc.subscribe(f"{self._prefix}.*.*", cb=self._gone)

    async def stop(self) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    def watch(self, job_id: str, cancel: Callable[[], object]) -> str:
        """The subject below which the chunks of `job_id` get their reply subjects, `<subject>.<seq>`."""
        self._watched[job_id] = _Watched(cancel)
        return f"{self._prefix}.{job_id}"

    def forget(self, job_id: str) -> None:
        self._watched.pop(job_id, None)

    async def _gone(self, msg: Msg) -> None:
        job_id, seq = msg.subject.rsplit(".", 2)[1:]
        watched = self._watched.get(job_id)
        if watched is None:
            return
        now = time.monotonic()
        # A chunk in between that found its reader starts the grace anew.
        if int(seq) != watched.seq + 1:
            watched.since = now
        watched.seq = int(seq)
        if now - watched.since >= self._grace:
            watched.cancel()
