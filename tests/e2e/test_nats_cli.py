"""The real `nats` CLI sees and does all of it: the README's commands, and the contexts that `up` writes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests import readme
from tests.e2e import natscli
from tests.e2e.conftest import House, environment


@pytest.fixture(autouse=True)
def _is_there() -> None:
    natscli.find()


def nats(house: House, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    context = house.data_dir / "contexts" / f"{user}.json"
    return subprocess.run(
        [natscli.find(), "--context", str(context), *arguments],
        env=environment(house.data_dir) | {"XDG_CONFIG_HOME": str(house.data_dir / "nobody")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_readmes_commands_print_what_it_says(house: House, tmp_path: Path) -> None:
    shown = readme.shown("#### With the `nats` CLI")
    assert shown[0].command.startswith("export NATS_CONTEXT=") and len(shown) > 15
    env = environment(house.data_dir) | {
        "NATS_CONTEXT": str(house.data_dir / "contexts" / "operator.json"),
        "PATH": f"{Path(natscli.find()).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
    }
    # What another test had analysed would be answered at once, before the README's listener is there.
    commands = [one.command.replace("5 percent today", "5 percent at noon") for one in shown[1:]]
    outputs = natscli.run(commands, env, tmp_path)
    for one, output in zip(shown[1:], outputs, strict=True):
        assert natscli.missing(one.lines, output) == [], f"$ {one.command}\n{output}"


def test_each_user_has_a_context_that_nobody_else_may_read(house: House) -> None:
    folder = house.data_dir / "contexts"
    assert folder.stat().st_mode & 0o777 == 0o700
    for user in ("publisher", "worker", "bridge", "operator"):
        assert (folder / f"{user}.json").stat().st_mode & 0o777 == 0o600
        assert house.running["nats_url"] in nats(house, user, "rtt").stdout


@pytest.mark.parametrize("user", ["publisher", "bridge", "operator"])
def test_its_inbox_prefix_lets_answers_in(house: House, user: str) -> None:
    body = '{"messages":[{"role":"user","content":"What is the capital of France?"}],"temperature":0}'
    asked = nats(house, user, "request", "llm.v1.chat", body, "--raw")
    assert "The capital of France is Paris." in asked.stdout, asked.stderr


def test_a_publisher_sends_and_looks_up(house: House) -> None:
    sent = nats(house, "publisher", "pub", "--jetstream", "articles.norm.coin.p1", '{"title":"t","body":"b"}')
    assert "Stored in Stream: ARTICLES" in sent.stderr + sent.stdout
    refused = nats(house, "publisher", "pub", "analyses.coin.p1", "{}")
    assert "Permissions Violation" in refused.stderr + refused.stdout


def test_a_stream_is_seen_to_its_end_while_the_machine_is_slow(house: House) -> None:
    """A prompt that takes seconds: without signs of life the CLI leaves after 300 ms of silence."""
    words = "The price of a coin is what somebody pays for it. " * 40
    body = {"messages": [{"role": "user", "content": words}], "max_tokens": 2, "stream": True}
    asked = nats(house, "operator", "request", "llm.v1.chat", json.dumps(body), "--wait-for-empty")
    said = asked.stderr + asked.stdout
    assert "Llm-Finish: length" in said and "nil body" in said
