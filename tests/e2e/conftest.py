"""One `nats-mlx up` with the starter model for all that is tried from outside: real server, worker and bridge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client


@dataclass
class House:
    """A running `up`: where it is, and how to come in as one of its users."""

    data_dir: Path
    process: subprocess.Popen[str]

    @property
    def running(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data_dir / "up.json").read_text())
        return found

    @property
    def bridge_url(self) -> str:
        return self.running["bridge_url"]

    def password(self, user: str) -> str:
        lines = (self.data_dir / "credentials.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[f"{user.upper()}_PASSWORD"]

    async def connect(self, user: str) -> Client:
        return await nats.connect(
            self.running["nats_url"],
            user=user,
            password=self.password(user),
            inbox_prefix=f"_INBOX.{user}",
            max_reconnect_attempts=3,
        )

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """A `nats-mlx` command beside the running `up`."""
        return subprocess.run(
            [sys.executable, "-m", "bridge.cli", *arguments],
            env=environment(self.data_dir),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    async def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """The same beside a connection of the test's own, which has to go on answering the server's pings."""
        return await asyncio.to_thread(self.command, *arguments, stdin=stdin)


def environment(data_dir: Path) -> dict[str, str]:
    """This process's, without what would lead to another NATS or data folder."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("NATS_", "COV_"))}
    return mine | {"NATS_MLX_DATA_DIR": str(data_dir)}


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("house")) as house:
        yield house


@contextmanager
def opened(data_dir: Path, **settings: str) -> Iterator[House]:
    """A house with settings of its own."""
    command = [
        sys.executable,
        "-m",
        "bridge.cli",
        "up",
        "--model",
        "starter",
        "--port",
        "0",
        "--nats-port",
        "0",
    ]
    process = subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        env=environment(data_dir) | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:  # until it says so, or ends
        said.append(line)
        if line.startswith("ready"):
            break
    else:
        pytest.fail(f"`up` ended before it was ready:\n{''.join(said)}")
    try:
        yield House(data_dir, process)
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
