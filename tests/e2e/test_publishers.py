"""The README's publishers, run as they stand there: plain nats-py, node, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests import readme
from tests.e2e.conftest import House
from tests.needed import unavailable

PACKAGE = "@nats-io/transport-node@3"


def block(language: str, house: House) -> str:
    """The first of this language in the section for publishers, with the house's address and password."""
    text = readme.block("### As a publisher", language)
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
