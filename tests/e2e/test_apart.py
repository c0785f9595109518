"""The README's way to run server, bridge and worker apart: each by its line, and they find each other."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from bridge import credentials
from tests import readme
from tests.e2e.test_readme import typing
from tests.ports import free_ports


@contextlib.contextmanager
def running(command: str, env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """In the repository's folder, where nats.conf is."""
    assigned, program = re.fullmatch(r"((?:\w+=\S+ )*)(.*)", command).groups()  # type: ignore[union-attr]
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["sh", "-c", f"{assigned}exec {program}"], cwd=readme.ROOT, env=env, stdout=said, stderr=said
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def test_they_find_each_other(tmp_path: Path) -> None:
    keys = credentials.ensure(tmp_path)
    client, monitor, http = free_ports(3)
    settings = {"NATS_MLX_BRIDGE_PORT": str(http), "NATS_MLX_WORKER_MODEL": "starter"}
    env = typing(tmp_path / "data") | keys.server_env() | settings
    server, *others = [
        line.partition("  #")[0] for line in readme.block("## Run the parts apart", "sh").splitlines()
    ]
    server = server.replace("/volume1/nats", str(tmp_path / "nats")).rstrip()
    commands = [f"{server} -p {client} -m {monitor}"]
    for user, line in zip(("bridge", "worker"), others, strict=True):
        assert f"NATS_USER={user} " in line
        password = keys.password(user)  # type: ignore[arg-type]
        commands.append(
            line.replace("nats://nas:4222", f"nats://127.0.0.1:{client}").replace("...", password)
        )
    with contextlib.ExitStack() as house:
        parts = [
            house.enter_context(running(command, env, tmp_path / f"{n}.log"))
            for n, command in enumerate(commands)
        ]
        while not answers(f"http://127.0.0.1:{http}/readyz"):
            assert [part.poll() for part in parts] == [None] * 3, said(tmp_path)
            time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:  # URLError is one; while its answer is read, a timeout is not wrapped in it
        return False


def said(folder: Path) -> str:
    return "".join(log.read_text() for log in folder.glob("*.log"))
