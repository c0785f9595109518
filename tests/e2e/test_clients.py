"""Other people's clients, unchanged, each told where the bridge is and nothing else: the checks are in `clients/`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.conftest import House
from tests.e2e.outside import checked, python
from tests.needed import unavailable

SOURCES = Path(__file__).with_name("clients")
TOGETHER = ("langchain-openai==1.7.4", "litellm==1.110.2", "llm==0.36", "pydantic-ai-slim[openai]==2.38.0")
PACKAGES = {
    "instructor": ("instructor==1.17.0",),  # wants a jiter below that of the newest `openai`
    "langchain": TOGETHER,
    "litellm": TOGETHER,
    "llm": TOGETHER,
    "pydantic_ai": TOGETHER,
}


class Errors(Protocol):
    """Of a client, each check's reason to fail, or None."""

    def __call__(self, client: str) -> dict[str, str | None]: ...


def script(client: str) -> Path:
    return SOURCES / f"{client}_checks.py"


CHECKS = [
    (client, name)
    for client in PACKAGES
    for name in re.findall(
        r"^@check\n(?:async )?def (\w+)", script(client).read_text(encoding="utf-8"), re.MULTILINE
    )
]


@pytest.fixture(scope="session")
def errors(tmp_path_factory: pytest.TempPathFactory, house: House) -> Errors:
    @cache
    def found(client: str) -> dict[str, str | None]:
        found = python(PACKAGES[client])
        if isinstance(found, str):
            unavailable(found)
        return checked([found, script(client), f"{house.bridge_url}/v1"], cwd=tmp_path_factory.mktemp(client))

    return found


def test_every_script_is_run() -> None:
    assert {script(client) for client in PACKAGES} == set(SOURCES.glob("*_checks.py"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("client", "name"), CHECKS)
def test_client(errors: Errors, client: str, name: str) -> None:
    if reason := errors(client)[name]:
        pytest.fail(reason, pytrace=False)
