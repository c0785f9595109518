"""`nats-mlx doctor` and `status --watch` beside a real server: one thing is broken at a time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pty
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_commands import run

from bridge.client import Client
from bridge.up.folder import Folder, Running
from schemas import streams
from tests.broker.cli.conftest import running

if TYPE_CHECKING:
    from conftest import Mover, Server

Doctor = Callable[..., Coroutine[Any, Any, dict[str, dict[str, Any]]]]


@pytest.fixture
def home(server: Server, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a person whose `up` runs: the server's fixture keeps its passwords as `up` does."""
    with contextlib.closing(Folder(tmp_path)) as folder:
        folder.announce(Running(os.getpid(), server.url, "http://127.0.0.1:1"))
        yield {"NATS_MLX_DATA_DIR": str(tmp_path), "NATS_MLX_WORKER_CACHE_DIR": str(tmp_path / "cache")}


@pytest.fixture
def doctor(home: dict[str, str]) -> Doctor:
    async def call(**env: str) -> dict[str, dict[str, Any]]:
        ran = await run("doctor", "--json", env=home | env)
        assert "Traceback" not in ran.err
        findings = {one["check"]: one for one in ran.objects}
        assert ran.code == any(one["grade"] == "failed" for one in findings.values())
        assert all(one["fix"] for one in findings.values() if one["grade"] in ("warning", "failed"))
        return findings

    return call


async def test_a_house_without_a_worker(doctor: Doctor, mover: Mover) -> None:
    found = await doctor(NATS_MLX_WORKER_MODEL="starter")
    grades = {check: one["grade"] for check, one in found.items()}
    bad = {check for check, grade in grades.items() if grade == "failed"}
    assert bad == {"bridge port", "model", "workers"}
    assert not {check for check, grade in grades.items() if grade == "warning"} - {"disk data", "disk cache"}
    assert {f"login {user}" for user in ("publisher", "worker", "bridge", "operator")} <= grades.keys()


async def test_what_somebody_changed_or_removed_is_named(
    doctor: Doctor, mover: Mover, operator: Client
) -> None:
    js = operator.jetstream()
    dead = (await js.stream_info("DEAD")).config
    await js.update_stream(dataclasses.replace(dead, max_age=3600.0))
    analyses = (await js.stream_info("ANALYSES")).config
    newer = {streams.LAYOUT_KEY: str(streams.LAYOUT + 1)}
    await js.update_stream(dataclasses.replace(analyses, metadata=newer))
    await js.delete_stream("KV_llm_cache")
    await js.delete_consumer("ARTICLES", "articles-high")
    found = await doctor()
    assert "max_age" in found["stream DEAD"]["says"]
    assert "newer" in found["stream ANALYSES"]["says"]
    assert found["stream KV_llm_cache"]["grade"] == "failed"
    assert found["consumer articles-high"]["grade"] == "failed"
    assert found["consumer articles-norm"]["grade"] == "ok"


async def test_before_any_worker_and_with_a_wrong_password(
    doctor: Doctor, server: Server, tmp_path: Path
) -> None:
    found = await doctor()
    assert found["login publisher"]["grade"] == "ok"
    assert found["stream ARTICLES"]["grade"] == "failed"
    refused = await doctor(NATS_USER="operator", NATS_PASSWORD="wrong")
    assert "refused" in refused["server"]["says"]
    file = tmp_path / "credentials.env"
    file.write_text(re.sub("BRIDGE_PASSWORD=.*", "BRIDGE_PASSWORD=other", file.read_text()))
    assert (await doctor())["login bridge"]["grade"] == "failed"
    file.write_text("nonsense\n")
    assert (await doctor())["credentials"]["grade"] == "failed"


async def test_when_nothing_runs_people_are_told(tmp_path: Path) -> None:
    env = {"NATS_MLX_DATA_DIR": str(tmp_path / "none"), "NATS_URL": "nats://127.0.0.1:1"}
    ran = await run("doctor", env=env)
    assert ran.code == 1
    assert ran.out.startswith("failed   server: No NATS server answers at 127.0.0.1:1")
    assert "Fix: `nats-mlx up` starts one\n" in ran.out
    assert ran.err == ""


async def test_a_server_without_jetstream_fails_once(tmp_path: Path) -> None:
    conf = tmp_path / "plain.conf"
    conf.write_text("jetstream: disabled\n")
    with running(conf, tmp_path, dict(os.environ)) as (_, address):
        ran = await run("doctor", env={"NATS_MLX_DATA_DIR": str(tmp_path), "NATS_URL": f"nats://{address}"})
    assert re.search(r"^failed +jetstream: .+ Fix: ", ran.out, re.MULTILINE)
    assert re.search(r"^skipped +queue: without JetStream there is none$", ran.out, re.MULTILINE)
    assert "ARTICLES" not in ran.out
    assert ".." not in ran.out


async def test_watch_goes_on_until_ctrl_c(home: dict[str, str], mover: Mover) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("NATS")} | home
    watch = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli", "status", "--watch", env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watch.stdout is not None
    async with asyncio.timeout(60):
        seen = [(await watch.stdout.readline()).decode() for _ in range(2)]
        watch.send_signal(signal.SIGINT)
        assert (await watch.communicate())[1] == b""
    assert watch.returncode == 0
    assert all(
        "workers 0, running 0, 0 tokens/s, waiting 0, in flight 0, 0 analysed, 0 dead" in one for one in seen
    )


async def test_watch_on_a_terminal_of_80_columns(home: dict[str, str], mover: Mover) -> None:
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if not name.startswith("NATS")} | home
    env |= {"NO_COLOR": "1", "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    watch = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli", "status", "--watch", env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )  # fmt: skip
    os.close(theirs)
    shown = ""
    async with asyncio.timeout(60):
        while shown.count("0 analysed, 0 dead") < 2:
            shown += (await asyncio.to_thread(os.read, ours, 4096)).decode()
        watch.send_signal(signal.SIGINT)
        assert await watch.wait() == 0
    os.close(ours)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown), "NO_COLOR"
    bare = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert max(map(len, re.split(r"[\r\n]+", bare))) <= 80
