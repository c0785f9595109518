"""The README's commands beside a running `up`, as they stand there: typed on a terminal, they print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import readme
from tests.e2e import natscli
from tests.e2e.conftest import House, environment
from tests.e2e.test_articles import outcome, waiting
from tests.ports import free_port, free_ports
from tests.until import until

ADDRESS = "http://127.0.0.1:8787"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the README's own articles in it."""
    shown = readme.shown("### As a publisher")
    assert shown[0].command == "cat my.jsonl"
    (tmp_path / "my.jsonl").write_text("".join(f"{line}\n" for line in shown[0].lines))
    return tmp_path


def typing(data_dir: Path) -> dict[str, str]:
    mine = environment(data_dir)
    return mine | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{mine['PATH']}", "NO_COLOR": "1"}


def say_what_they_are_said_to(
    shown: list[readme.Shown], env: Mapping[str, str], folder: Path, **instead: str
) -> list[str]:
    """What they printed. `instead`: what takes a word's place here."""

    def here(text: str) -> str:
        for word, other in instead.items():
            text = text.replace(word, other)
        return text

    outputs = natscli.run([here(one.command) for one in shown], env, folder)
    for one, output in zip(shown, outputs, strict=True):
        assert natscli.missing([here(line) for line in one.lines], output) == [], f"$ {one.command}\n{output}"
    return outputs


def test_a_publisher(house: House, folder: Path) -> None:
    say_what_they_are_said_to(readme.shown("### As a publisher"), typing(house.data_dir), folder)


def test_a_chat_caller(house: House, tmp_path: Path) -> None:
    env = typing(house.data_dir) | {"NATS_CONTEXT": str(house.data_dir / "contexts" / "publisher.json")}
    env["PATH"] += f"{os.pathsep}{Path(natscli.find()).parent}"
    [asked] = readme.shown("### As a chat caller")
    [said] = natscli.run([asked.command], env, tmp_path)
    # The CLI shows headers in any order.
    assert [line for line in asked.lines if natscli.missing([line], said)] == [], said


def test_the_sdk(house: House, tmp_path: Path) -> None:
    """Its three blocks are one program."""
    sections = ("### As an OpenAI client", "#### Responses", "#### Files and batches")
    program = "".join(readme.block(one, "python") for one in sections).replace(ADDRESS, house.bridge_url)
    requests(tmp_path)
    # The SDK leaves a file open, and is not ours to judge.
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert len(said) == 3
    assert natscli.missing(said, done.stdout) == []
    assert done.stdout.count('"custom_id"') == 2


def requests(folder: Path) -> None:
    line = readme.block("#### Files and batches", "json")
    (folder / "requests.jsonl").write_text(line + line.replace('"a"', '"b"'))


def test_a_batch(house: House, tmp_path: Path) -> None:
    requests(tmp_path)
    say_what_they_are_said_to(readme.shown("#### Files and batches"), typing(house.data_dir), tmp_path)
    assert (tmp_path / "answers.jsonl").read_text().count('"custom_id"') == 2


async def test_curl(house: House, folder: Path) -> None:
    *asked, feed = readme.shown("### With curl alone")
    articles = folder / "my.jsonl"
    articles.write_text(
        articles.read_text().replace('"body":"', '"body":"Today: ')
    )  # not done by another test yet
    env = typing(house.data_dir)
    here = {ADDRESS: house.bridge_url}
    say_what_they_are_said_to(asked[:2], env, folder, **here)
    nc = await house.connect("operator")
    await outcome(nc, "a1")
    await until(lambda: waiting(nc.jetstream(), "a1"), 0)
    await nc.close()
    say_what_they_are_said_to(asked[2:], env, folder, **here)
    command = feed.command.replace(ADDRESS, house.bridge_url)
    with subprocess.Popen(["sh", "-c", f"exec {command}?cursor=0"], stdout=-1, text=True) as reading:
        assert reading.stdout is not None
        said = next(line for line in reading.stdout if line.startswith("data: "))
        reading.terminate()
    assert said.startswith('data: {"id":')


def test_dead_letters(house: House, tmp_path: Path) -> None:
    for recipe, name in (("unknown", "lost"), ("old", "older")):
        article = f'{{"id":"{name}","title":"t","body":"b"}}'
        assert house.command("publish", "-", "--recipe", recipe, "--wait", stdin=article).returncode == 1
    lines = readme.block("### As an operator", "sh").splitlines()
    shown = [readme.Shown(line.replace("ID", "lost"), []) for line in lines]
    listed, letter, sent, removed = say_what_they_are_said_to(shown, typing(house.data_dir), tmp_path)
    assert "lost" in listed and "There is no recipe `unknown`." in letter
    assert "lost" in sent and "removed" in removed


def test_a_recipe(house: House, folder: Path) -> None:
    say_what_they_are_said_to(readme.shown("### As an operator"), typing(house.data_dir), folder)
    assert house.command("recipe", "rm", "mine").returncode == 0


def test_logs(house: House, folder: Path) -> None:
    article = '{"id":"logged","title":"Bitcoin rises","body":"Bitcoin rose 5 percent today."}'
    assert house.command("publish", "-", "--wait", stdin=article).returncode == 0
    [logs] = readme.shown("### Watch it")
    [said] = natscli.run([logs.command.replace("sample-15", "logged")], typing(house.data_dir), folder)
    names = re.findall(r"(\w+)=", logs.lines[0])
    assert names == re.findall(r"(\w+)=", next(line for line in said.splitlines() if "article" in line))


def test_keys(tmp_path: Path) -> None:
    port = str(free_port())
    env = typing(tmp_path) | {"NATS_URL": "nats://127.0.0.1:1", "NATS_MLX_BRIDGE_PORT": port}
    refused, *keys, asked, revoked = readme.shown("## Open it to others")
    say_what_they_are_said_to([refused, *keys], env, tmp_path, **{"/volume1/nats-mlx": str(tmp_path)})
    command = f"exec {refused.command.removeprefix('NATS_MLX_BRIDGE_HOST=0.0.0.0 ')}"
    with subprocess.Popen(["sh", "-c", command], env=env, stderr=-1, text=True) as bridge:
        assert bridge.stderr is not None
        assert any("listening" in line for line in bridge.stderr)
        say_what_they_are_said_to([asked], env, tmp_path, **{"nas:8787": f"127.0.0.1:{port}"})
        bridge.terminate()
        bridge.stderr.read()
    say_what_they_are_said_to([revoked], env, tmp_path)


def test_a_doctor_where_nothing_runs(house: House, tmp_path: Path) -> None:
    """Ports of its own: what else runs on this machine is no business of this test."""
    nats, http = free_ports(2)
    env = typing(tmp_path) | {"NATS_URL": f"nats://127.0.0.1:{nats}", "NATS_MLX_BRIDGE_PORT": str(http)}
    env["NATS_MLX_WORKER_MODEL"] = "starter"
    say_what_they_are_said_to(readme.shown("## When something is wrong"), env, tmp_path)
