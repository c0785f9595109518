"""Every command that the README shows is run by a test as it stands there, or it says here why it cannot be."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from bridge.cli import app
from tests import readme

# Blocks of these languages are for a shell or an interpreter; the others show files and output.
_RUN = {"sh", "console", "crontab", "python", "javascript"}
_HOUSE = "tests/e2e/test_readme.py"

BLOCKS = {
    ("## Two commands", "sh"): ".ci/run",
    ("### As a publisher", "console"): _HOUSE,
    ("### As a publisher", "crontab"): "tests/broker/cli/test_watch.py",
    ("### As a publisher", "python"): "tests/e2e/test_publishers.py",
    ("### As a publisher", "javascript"): "tests/e2e/test_publishers.py",
    ("### As a chat caller", "console"): _HOUSE,
    ("### As an OpenAI client", "python"): _HOUSE,
    ("#### Responses", "python"): _HOUSE,
    ("#### Files and batches", "python"): _HOUSE,
    ("#### Files and batches", "console"): _HOUSE,
    ("### With curl alone", "console"): _HOUSE,
    ("### As an operator", "sh"): _HOUSE,
    ("### As an operator", "console"): _HOUSE,
    ("#### With the `nats` CLI", "console"): "tests/e2e/test_nats_cli.py",
    ("## Run the parts apart", "sh"): "tests/e2e/test_apart.py",
    ("### In containers", "console"): "tests/broker/cli/test_nas.py",
    ("### At login", "console"): "tests/unit/bridge/test_service.py",
    ("### Watch it", "console"): _HOUSE,
    ("## Open it to others", "console"): _HOUSE,
    ("### Beyond one machine", "sh"): "tests/broker/cli/blocks.py",
    ("## When something is wrong", "console"): _HOUSE,
}

# These a test cannot have as they stand, and what stands in for them.
ELSEWHERE = {
    "docker compose build": "there is no engine: test_nas.py takes the Dockerfile's steps",
    "docker compose run --rm bridge keys new nas --scope chat --scope batch": "test_nas.py, without an engine",
    "docker compose up -d": "test_nas.py starts the three as compose.yaml has them",
    "nats-mlx service install": "changes the login of whoever runs the tests: test_service.py has stand-ins",
    "nats-mlx service status": "as above",
    "nats-mlx service uninstall": "as above",
}


def test_every_block_has_its_test() -> None:
    shown = {(one.heading, one.language) for one in readme.blocks() if one.language in _RUN}
    assert shown == set(BLOCKS)


@pytest.mark.parametrize(("heading", "language"), BLOCKS)
def test_it_is_run_there(heading: str, language: str) -> None:
    text = (readme.ROOT / BLOCKS[heading, language]).read_text("utf-8")
    commands = [command for where, command in commands_of_shells() if where == (heading, language)]
    if set(commands) - set(ELSEWHERE):
        # By its heading, or by the file that its first line names.
        named = re.match(r"# (\S+): ", readme.block(heading, language))
        assert (named[1] if named else heading.strip("# ").lower()) in text.lower()


def test_nothing_is_excused_that_is_not_shown() -> None:
    assert set(ELSEWHERE) <= {command for _, command in commands_of_shells()}


def commands_of_shells() -> Iterator[tuple[tuple[str, str], str]]:
    for one in readme.blocks():
        if one.language in _RUN:
            lines = one.text.splitlines()
            if one.language == "console":
                lines = [line[2:] for line in lines if line.startswith("$ ")]
            yield from (((one.heading, one.language), line.partition("  #")[0].rstrip()) for line in lines)


def mentioned() -> list[str]:
    """`nats-mlx ...` wherever it is said, with its options and without what a person would put in."""
    found = re.findall(r"`(?:[A-Z_]+=\S+ )*nats-mlx ([a-z][^`]*)`", readme.TEXT)
    found += re.findall(
        r"^(?:\$ |  |\S+ \S+ \S+ \S+ \S+ |(?:[A-Z_]+=\S+ )*)nats-mlx ([a-z].*)$", readme.TEXT, re.M
    )
    return sorted({re.split(r" [>&]|  +#", one)[0].strip() for one in found})


@pytest.mark.parametrize("said", mentioned())
def test_what_is_mentioned_is_there(said: str) -> None:
    """Subcommand and options; `/` and `...` are a person's shorthand."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(said)
    while words and (below := getattr(command, "commands", None)):
        command = below[words.pop(0)]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known
