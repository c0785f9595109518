"""The README's publishers, run as they stand there: plain nats-py, node, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e import natscli
from tests.e2e.conftest import House
from tests.e2e.test_articles import outcome
from tests.needed import unavailable

PACKAGE = "@nats-io/transport-node@3"


def block(language: str, house: House) -> str:
    """The first of this language in the section for publishers, with the house's address and password."""
    section = natscli.README.read_text("utf-8").partition("### As a publisher\n")[2]
    text = section.partition(f"```{language}\n")[2].partition("\n```")[0]
    assert text.count("nats://127.0.0.1:4222") == 1
    text = text.replace("nats://127.0.0.1:4222", house.running["nats_url"])
    return text.replace('"..."', json.dumps(house.password("publisher")))


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_nats_py(house: House, tmp_path: Path) -> None:
    (tmp_path / "publish.py").write_text(block("python", house))
    assert json.loads(run([sys.executable, "publish.py"], tmp_path))["id"] == "a1"


def test_node(house: House, tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        unavailable("node and npm are needed")
    options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run([npm, "install", *options, PACKAGE], tmp_path)
    (tmp_path / "publish.mjs").write_text(block("javascript", house))
    assert json.loads(run([node, "publish.mjs"], tmp_path).splitlines()[-1])["id"] == "a2"


async def test_curl(house: House, tmp_path: Path) -> None:
    send, _, look, _ = natscli.block("### With curl alone")

    def curl(one: natscli.Shown) -> list[str]:
        command = one.command.replace("http://127.0.0.1:8787", house.bridge_url).replace("a1", "a3")
        return natscli.missing(one.lines, run(["bash", "-c", command], tmp_path).replace("a3", "a1"))

    assert curl(send) == []
    nc = await house.connect("publisher")
    await outcome(nc, "a3")
    await nc.close()
    assert curl(look) == []
