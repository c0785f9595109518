"""`publish --watch`: a crawler's files, each published and moved; killed in between, nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge import credentials
from bridge.client import Client
from tests import readme
from tests.broker.cli.conftest import serving
from tests.broker.cli.test_commands import Command, command, run
from tests.ports import free_port
from worker.transport import topology

if TYPE_CHECKING:
    from conftest import Mover, Server

__all__ = ["command"]

GOOD = '{"id":"a","title":"t","body":"b"}\n{"id":"b","title":"t","body":"b"}\n'


def inside(folder: Path) -> list[str]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != ".lock"]
    return sorted(file.relative_to(folder).as_posix() for file in files)


async def test_files_end_in_done_and_failed(command: Command, moving: Mover, tmp_path: Path) -> None:
    folder = tmp_path / "news"
    folder.mkdir()
    (folder / "1.jsonl").write_text(GOOD)
    (folder / "2.jsonl").write_text('{"id":"c","title":"t","body":"b"}\n{"title":"no body"}\n')
    (folder / "3.jsonl.part").write_text(GOOD)
    ran = await command("publisher", "publish", "--watch", str(folder), "--once", "--wait")
    assert ran.code == 1
    said = [line.partition(" (")[0] for line in ran.out.splitlines()]
    assert said == [
        "1.jsonl: done: 2 published, 2 analysed, 0 dead",
        "2.jsonl: failed: 1 published, 1 bad, 1 analysed, 0 dead",
    ]
    assert inside(folder) == ["3.jsonl.part", "done/1.jsonl", "failed/2.jsonl", "failed/2.jsonl.errors"]
    errors = (folder / "failed" / "2.jsonl.errors").read_text()
    assert errors == f"{folder / '2.jsonl'}:2: Missing field `body`.\n"
    assert len(moving.taken) == 3


async def test_the_readmes_crontab(server: Server, mover: Mover, tmp_path: Path) -> None:
    lines = readme.block("### As a publisher", "crontab").splitlines()
    variables = dict(line.split("=", 1) for line in lines[:-1])
    assert variables == {"NATS_URL": "nats://nas:4222", "NATS_USER": "publisher", "NATS_PASSWORD": "..."}
    assert lines[-1].startswith("*/30 * * * * nats-mlx ")
    folder = tmp_path / "news"
    folder.mkdir()
    (folder / "1.jsonl").write_text(GOOD)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        lines[-1].removeprefix("*/30 * * * * ").replace("/volume1/news", str(folder)),
        # As little as cron gives.
        env=variables
        | {"NATS_URL": server.url, "NATS_PASSWORD": server.credentials.password("publisher")}
        | {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, said) == (0, b"")
    assert inside(folder) == ["done/1.jsonl"]


async def test_what_comes_later_is_taken_too_and_a_kill_does_no_harm(
    server: Server, operator: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "news"
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("NATS")} | {
        "NATS_URL": server.url,
        "NATS_USER": "publisher",
        "NATS_PASSWORD": server.credentials.password("publisher"),
        "NATS_MLX_DATA_DIR": str(tmp_path / "none"),
    }

    async def watcher() -> asyncio.subprocess.Process:
        arguments = ["-m", "bridge.cli", "publish", "--watch", str(folder)]
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=env, stdout=asyncio.subprocess.PIPE
        )

    first = await watcher()
    assert first.stdout
    (folder / ".1.jsonl").write_text(GOOD)
    (folder / ".1.jsonl").rename(folder / "1.jsonl")
    said = await asyncio.wait_for(first.stdout.readline(), 60)
    assert said.startswith(b"1.jsonl: done: 2 published (")
    first.send_signal(signal.SIGKILL)
    await first.wait()
    # As if it had been killed before the file was moved.
    (folder / "done" / "1.jsonl").rename(folder / "1.jsonl")
    second = await watcher()
    assert second.stdout
    said = await asyncio.wait_for(second.stdout.readline(), 60)
    assert said.startswith(b"1.jsonl: done: 0 published, 2 waited already (")
    second.send_signal(signal.SIGTERM)
    await second.wait()
    assert (await operator.jetstream().stream_info("ARTICLES")).state.messages == 2
    assert inside(folder) == ["done/1.jsonl"]


async def test_who_stays_waits_for_a_server_and_for_the_streams(tmp_path: Path) -> None:
    """On a NAS it starts with all else, and the Mac that makes the streams may come hours later."""
    folder = tmp_path / "news"
    folder.mkdir()
    (folder / "1.jsonl").write_text(GOOD)
    keys = credentials.ensure(tmp_path)
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("NATS")} | {
        "NATS_URL": f"nats://127.0.0.1:{port}",
        "NATS_USER": "publisher",
        "NATS_PASSWORD": keys.password("publisher"),
        "NATS_MLX_DATA_DIR": str(tmp_path / "none"),
    }
    watcher = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli", "publish", "--watch", str(folder),
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watcher.stdout
    assert watcher.stderr
    async with asyncio.timeout(60):
        assert b"No NATS server answers" in await watcher.stderr.readline()
        with serving(tmp_path, port=port) as server:
            assert b"NATS has no queue yet" in await watcher.stderr.readline()
            worker = await server.connect("worker")
            await topology.ensure(worker.jetstream())
            assert (await watcher.stdout.readline()).startswith(b"1.jsonl: done: 2 published (")
            await worker.close()
            watcher.send_signal(signal.SIGTERM)
            await watcher.communicate()
    assert inside(folder) == ["done/1.jsonl"]


@pytest.mark.parametrize("how", [["--watch", "."], ["--watch", ".", "--once"], ["1.jsonl"]])
async def test_a_server_is_waited_for_as_long_as_one_says(how: list[str], tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(GOOD)
    env = {"NATS_URL": f"nats://127.0.0.1:{free_port()}", "NATS_MLX_DATA_DIR": str(tmp_path / "none")}
    arguments = [word if word.startswith("--") else str(tmp_path / word) for word in how]
    ran = await run("publish", *arguments, "--give-up", "2.5", env=env)
    waits, gave_up = ran.err.splitlines()
    assert waits.startswith("No NATS server answers at ")
    assert waits.endswith("; waiting")
    assert gave_up.startswith("error: Gave up after 2.5 s: No NATS server answers at ")
    assert ran.code == 1
    assert inside(tmp_path) == ["1.jsonl"]


async def test_who_gives_up_leaves_the_file(
    command: Command, mover: Mover, operator: Client, tmp_path: Path
) -> None:
    js = operator.jetstream()
    config = (await js.stream_info("ARTICLES")).config
    config.max_msgs = 1
    await js.update_stream(config)
    folder = tmp_path / "news"
    folder.mkdir()
    (folder / "1.jsonl").write_text(GOOD)
    ran = await command("publisher", "publish", "--watch", str(folder), "--once", "--give-up", "0.2")
    assert (ran.code, ran.out.startswith("1.jsonl: left: 1 published, 1 not sent (")) == (1, True)
    assert inside(folder) == ["1.jsonl"]


@pytest.mark.parametrize(
    "arguments", [["--watch", "/nowhere"], ["a.jsonl", "--watch", "."], ["a.jsonl", "--once"], []]
)
async def test_wrong_usage(command: Command, arguments: list[str]) -> None:
    assert (await command("publisher", "publish", *arguments)).code == 2
