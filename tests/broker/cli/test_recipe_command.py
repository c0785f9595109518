"""`nats-mlx recipe` where no worker is: what is stored can be seen and removed, and nothing unchecked is put."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from bridge.client import Client
from tests.broker.cli.test_commands import Command, command
from worker.engine.engine import Engine
from worker.transport.recipes import Recipes

if TYPE_CHECKING:
    from conftest import Mover

__all__ = ["command"]


async def test_what_is_stored_is_seen_and_removed(command: Command, mover: Mover, operator: Client) -> None:
    bucket = await operator.jetstream().key_value("llm_recipes")
    await bucket.put("old", b'{"version":"0"}')
    await bucket.put("mine", b'{"version":"1"}')
    await bucket.put("mine", b'{"version":"2","description":"d","model":"m"}')
    await bucket.put("broken", b"nonsense")
    await bucket.delete("old")
    rows = [line.split() for line in (await command("operator", "recipe", "ls")).out.splitlines()]
    assert rows == [
        ["recipe", "version", "model", "description"],
        ["broken", "not", "a", "recipe"],
        ["mine", "2", "m", "d"],
    ]
    listed = (await command("operator", "recipe", "ls", "--json")).objects
    assert [line["recipe"] for line in listed] == ["broken", "mine"]
    assert (await command("operator", "recipe", "show", "broken")).out == "nonsense\n"
    assert (await command("operator", "recipe", "rm", "broken")).out == "broken: removed\n"
    gone = await command("operator", "recipe", "rm", "broken")
    assert (gone.code, gone.err) == (
        1, "error: There is no recipe `broken`: `nats-mlx recipe ls` lists them.\n",
    )  # fmt: skip


@pytest.mark.parametrize("action", [["put", "mine"], ["test"]])
async def test_without_a_worker_nothing_is_put(
    command: Command, mover: Mover, tmp_path: Path, action: list[str]
) -> None:
    file = tmp_path / "mine.json"
    file.write_text("{}")
    ran = await command("operator", "recipe", *action, str(file))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: No worker is there to check it: start ")
    assert (await command("operator", "recipe", "ls")).out == ""


@pytest.mark.parametrize(("name", "file"), [("a.b", "{}"), ("", "{}"), ("비트", "{}"), ("x" * 65, "{}")])
async def test_a_name_that_no_subject_has(command: Command, name: str, file: str) -> None:
    ran = await command("operator", "recipe", "put", name, "-", stdin=file)
    assert (ran.code, ran.err.startswith(f"error: `{name}` cannot be a recipe's name")) == (1, True)


async def test_one_that_ships_stays_away_when_it_was_removed(
    command: Command, mover: Mover, operator: Client
) -> None:
    recipes = Recipes(mover.nc.jetstream(), cast(Engine, None))
    await recipes.start()
    assert (await command("operator", "recipe", "rm", "coin")).code == 0
    await recipes.start()  # of the next worker
    listed = (await command("operator", "recipe", "ls", "--json")).objects
    assert [line["recipe"] for line in listed] == ["summary", "translate-ko"]


async def test_a_file_that_is_not_there_or_no_text(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    absent = await command("operator", "recipe", "test", str(file))
    assert (absent.code, absent.err) == (1, f"error: {file}: No such file or directory\n")
    file.write_bytes(b"\xff")
    assert (await command("operator", "recipe", "test", str(file))).err == (
        f"error: {file} is not text in UTF-8.\n"
    )
