"""A disk that is really full under `up`: the server gives a stream up, and starts anew once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.errors import Error
from nats.js import JetStreamContext

from tests import disks
from tests.e2e.conftest import opened
from tests.until import seen


async def test_the_server_starts_anew_when_its_disk_has_room_again(tmp_path: Path) -> None:
    with disks.small(tmp_path / "nats") as disk, opened(tmp_path) as house:
        operator = await house.connect("operator")
        js = operator.jetstream(timeout=1)
        ballast = disks.fill(disk)
        with pytest.raises(Error):  # it does not even answer
            await js.publish("dead.ARTICLES.coin.a", b"x" * 100_000)
        ballast.unlink()
        with pytest.raises(Error):
            await js.publish("dead.ARTICLES.coin.a", b"x")
        await seen(lambda: stored(js), within=60)
        await operator.close()


async def stored(js: JetStreamContext) -> bool:
    try:
        await js.publish("dead.ARTICLES.coin.a", b"x")
    except Error:
        return False
    return True
