"""How fast articles are done, of late: while some wait, since the oldest of them came."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import cast

import pytest
from nats.aio.client import Client

from bridge.client import queue

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("ended", "waits", "pace"),
    [
        ([], [], 0),
        ([], [5.0], 0),
        ([400, 200], [], 1 / 400),  # the first of them only opens the span
        ([400, 20, 15, 10], [30.0, 3.0], 3 / 30),  # before, there was nothing to do
        ([400, 200], [30.0], 1 / 400),  # none yet of these: as if there had been
        ([400, 300, 200], [9000.0], 2 / 400),  # one that waits for its model's repair
    ],
)
def test_pace(ended: list[int], waits: list[float], pace: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ended` in seconds ago, as `waits` are."""

    async def since(_: Client, begin: dt.datetime) -> tuple[int, dt.datetime]:
        found = [moment for moment in (NOW - dt.timedelta(seconds=ago) for ago in ended) if moment >= begin]
        return len(found), min(found, default=begin)

    monkeypatch.setattr(queue, "_now", lambda: NOW)
    monkeypatch.setattr(queue, "_ended", since)
    assert asyncio.run(queue._pace(cast(Client, None), waits)) == pytest.approx(pace)
