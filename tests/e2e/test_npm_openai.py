"""The same promises as the official SDK for JavaScript sees them: the checks are in `npm/`, run once by node."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import House
from tests.e2e.outside import checked, run
from tests.e2e.test_openai import CHECKS
from tests.needed import unavailable

SOURCES = Path(__file__).with_name("npm")
NAMES = [
    name
    for file in sorted(SOURCES.glob("*.mjs"))
    for name in re.findall(r'^check\("(\w+)"', file.read_text(encoding="utf-8"), re.MULTILINE)
]
# What the SDK for Python is asked elsewhere, or has no helper for.
ONLY_HERE = {
    "the_tool_runner_runs",
    "the_tool_runner_runs_streamed",
    "a_prompt_is_completed",
    "a_response_goes_on",
    "a_response_is_parsed",
    "a_response_is_streamed",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checks beside the packages that they need; the repository stays as it is."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        unavailable("node and npm are needed for the checks of the SDK for JavaScript.")
    folder = tmp_path_factory.mktemp("npm") / "checks"
    shutil.copytree(SOURCES, folder)
    options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = run([npm, "install", *options], cwd=folder, seconds=500)
    if done.returncode:
        unavailable(f"npm could not install the SDK for JavaScript: {done.stderr}")
    return folder


@pytest.fixture(scope="module")
def errors(folder: Path, house: House) -> dict[str, str | None]:
    return checked(["node", "checks.mjs", f"{house.bridge_url}/v1"], cwd=folder)


def test_the_list_is_that_of_the_other_sdk() -> None:
    assert set(NAMES) == set(CHECKS) | ONLY_HERE


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_npm_openai(errors: dict[str, str | None], name: str) -> None:
    if reason := errors[name]:
        pytest.fail(reason, pytrace=False)
