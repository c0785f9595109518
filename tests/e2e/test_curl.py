"""curl, as a shell has it: an answer whole, as it is written, and refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import House
from tests.e2e.sdk import ANSWER, PARIS
from tests.needed import unavailable

JSON = ("-H", "content-type: application/json")


def body(**given: Any) -> str:
    return json.dumps({"messages": PARIS, "temperature": 0, "max_tokens": 20} | given)


@pytest.fixture(scope="module")
def url(house: House) -> str:
    return f"{house.bridge_url}/v1"


@pytest.fixture(scope="module")
def curl() -> str:
    return shutil.which("curl") or unavailable("curl is not there.")


def run(curl: str, *arguments: str) -> str:
    done = subprocess.run([curl, "-sS", *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_whole(curl: str, url: str) -> None:
    found = json.loads(run(curl, f"{url}/chat/completions", *JSON, "-d", body()))
    assert found["choices"][0]["message"]["content"] == ANSWER


def test_responses(curl: str, url: str) -> None:
    asked = json.dumps({"input": PARIS, "temperature": 0, "max_output_tokens": 20, "store": False})
    found = json.loads(run(curl, f"{url}/responses", *JSON, "-d", asked))
    assert found["output"][0]["content"][0]["text"] == ANSWER


def test_as_it_is_written(curl: str, url: str) -> None:
    command = [curl, "-sSN", f"{url}/chat/completions", *JSON, "-d", body(stream=True)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert process.returncode == 0
    *events, done = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert done == "[DONE]"
    deltas = [choice["delta"] for event in map(json.loads, events) for choice in event["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == ANSWER


def test_refused(curl: str, url: str) -> None:
    told = run(
        curl, "-w", "\n%{http_code} %{content_type}", f"{url}/chat/completions", *JSON, "-d", body(n=0)
    )
    error, status = told.rsplit("\n", 1)
    assert status.startswith("400 application/json")
    assert json.loads(error)["error"]["param"] == "n"
