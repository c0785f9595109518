"""The same promises as the official SDK for JavaScript sees them: the checks are in `npm/`, run once by node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from tests.e2e.conftest import House
from tests.e2e.test_openai import CHECKS

SOURCES = Path(__file__).with_name("npm")
NAMES = [
    name
    for file in sorted(SOURCES.glob("*.mjs"))
    for name in re.findall(r'^check\("(\w+)"', file.read_text(encoding="utf-8"), re.MULTILINE)
]


def _unavailable(reason: str) -> NoReturn:
    """A desk may be without node; where everything has to be tried, it may not."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _environment() -> dict[str, str]:
    """Without what the SDK reads by itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checks beside the packages that they need; the repository stays as it is."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _unavailable("node and npm are needed for the checks of the SDK for JavaScript.")
    folder = tmp_path_factory.mktemp("npm") / "checks"
    shutil.copytree(SOURCES, folder)
    options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        [npm, "install", *options],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if done.returncode:
        _unavailable(f"npm could not install the SDK for JavaScript: {done.stderr}")
    return folder


@pytest.fixture(scope="module")
def errors(folder: Path, house: House) -> dict[str, str | None]:
    """Each check's reason to fail, or None."""
    done = subprocess.run(
        ["node", "checks.mjs", f"{house.bridge_url}/v1"],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = map(json.loads, done.stdout.splitlines())
    return {check["name"]: check["error"] for check in found}


def test_the_list_is_that_of_the_other_sdk() -> None:
    assert set(NAMES) == set(CHECKS) | {"the_tool_runner_runs", "the_tool_runner_runs_streamed"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_npm_openai(errors: dict[str, str | None], name: str) -> None:
    if reason := errors[name]:
        pytest.fail(reason, pytrace=False)
