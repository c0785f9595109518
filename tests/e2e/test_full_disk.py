"""A disk that is really full under `up`: the server gives a stream up, and starts anew once there is room."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.errors import Error
from nats.js import JetStreamContext

from tests.e2e.conftest import opened


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The server's store has one of its own, which only root can make."""
    place = tmp_path / "nats"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk that can be filled takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 65536):
                pass
        except OSError:
            pass


async def test_the_server_starts_anew_when_its_disk_has_room_again(tmp_path: Path, disk: Path) -> None:
    with opened(tmp_path) as house:
        operator = await house.connect("operator")
        js = operator.jetstream(timeout=1)
        fill(disk / "ballast")
        with pytest.raises(Error):  # it does not even answer
            await js.publish("dead.ARTICLES.coin.a", b"x" * 100_000)
        (disk / "ballast").unlink()
        with pytest.raises(Error):
            await js.publish("dead.ARTICLES.coin.a", b"x")
        async with asyncio.timeout(60):
            while not await stored(js):
                await asyncio.sleep(0.1)
        await operator.close()


async def stored(js: JetStreamContext) -> bool:
    try:
        await js.publish("dead.ARTICLES.coin.a", b"x")
    except Error:
        return False
    return True
