"""The command as people and scripts call it: exit codes, what goes to stdout, and one line for each fault."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from bridge.client import Client
from bridge.credentials import User
from bridge.up.folder import Folder, Running

if TYPE_CHECKING:
    from conftest import Mover, Server


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Coroutine[Any, Any, Ran]]


async def run(*arguments: str, env: dict[str, str], stdin: str = "") -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli", *arguments,
        env={name: value for name, value in os.environ.items() if not name.startswith("NATS")} | env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture
def command(server: Server, tmp_path: Path) -> Command:
    """Calls the command as a user of the server."""

    async def call(user: User, *arguments: str, stdin: str = "") -> Ran:
        env = {
            "NATS_URL": server.url,
            "NATS_USER": user,
            "NATS_PASSWORD": server.credentials.password(user),
            "NATS_MLX_DATA_DIR": str(tmp_path / "none"),
        }
        return await run(*arguments, env=env, stdin=stdin)

    return call


async def test_a_file_with_good_and_bad_lines(command: Command, moving: Mover, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        '\ufeff{"id":"a","title":"비트코인","body":"b"}\n\n{"title":"no body"}\n{"id":"c","title":"t","body":"b"}'
    )
    ran = await command("publisher", "publish", str(file), "--wait")
    assert ran.code == 1
    assert f"{file}:3: Missing field `body`." in ran.err
    assert ran.out.startswith("2 published, 1 bad, 2 analysed, 0 dead (")
    assert sorted(moving.taken) == ["articles.norm.coin.a", "articles.norm.coin.c"]


async def test_json_from_stdin(command: Command, moving: Mover) -> None:
    moving.verdict = lambda message: "too long" if message.subject.endswith(".b") else None
    text = '{"id":"a","title":"비트코인","body":"b"}\n{"id":"b","title":"t","body":"b"}\n[]\n'
    ran = await command("publisher", "publish", "-", "--wait", "--json", stdin=text)
    assert ran.code == 1
    events = {(event["status"], event.get("id") or event["where"]): event for event in ran.objects}
    assert set(events) == {
        ("published", "a"), ("published", "b"), ("bad", "stdin:3"), ("analysed", "a"), ("dead", "b"),
    }  # fmt: skip
    assert events["analysed", "a"]["analysis"]["article"]["title"] == "비트코인"
    assert events["dead", "b"]["letter"]["error"] == "too long"


async def test_results_and_dead_letters(command: Command, moving: Mover) -> None:
    moving.verdict = lambda message: "\x1b[31mred" if message.subject.endswith(".b") else None
    text = '{"id":"a","title":"\\u001b[2Jtitle","body":"b"}\n{"id":"b","title":"t","body":"b"}\n'
    await command("publisher", "publish", "-", "--wait", stdin=text)
    table = await command("operator", "results")
    assert table.code == 0
    assert table.out.splitlines()[0].split() == ["id", "sentiment", "coins", "importance", "summary"]
    assert max(map(len, table.out.splitlines())) <= 80
    one = await command("publisher", "results", "a", "b", "x", "--json")
    assert (one.code, [row["id"] for row in one.objects]) == (1, ["a"])
    assert one.err.splitlines()[1] == "x: no analysis yet"
    listed = await command("operator", "dead", "ls")
    assert "bad_request" in listed.out
    shown = await command("operator", "dead", "show", "b")
    assert '{"id":"b","title":"t","body":"b"}' in shown.out
    for ran in (table, one, listed, shown):
        assert "\x1b" not in ran.out + ran.err
    moving.verdict = lambda _: None
    assert (await command("operator", "dead", "retry", "b")).out == "b: sent again\n"
    again = await command("operator", "dead", "rm", "b")
    assert (again.code, again.err) == (
        1, "There is no dead letter of `b`.\n",
    )  # fmt: skip


async def test_what_is_no_analysis_hides_none(command: Command, moving: Mover) -> None:
    await moving.nc.jetstream().publish("analyses.coin.strange", b'{"id":"strange"}')
    await moving.nc.jetstream().publish("analyses.coin.noise", b"\xff")
    await command("publisher", "publish", "-", "--wait", stdin='{"id":"a","title":"t","body":"b"}')
    table = await command("operator", "results")
    assert (table.code, table.out.splitlines()[1].split()[0]) == (0, "a")
    assert "analyses.coin.strange: no analysis that this version can read. Missing field" in table.err
    listed = await command("operator", "results", "--json")
    assert (listed.code, [row["id"] for row in listed.objects]) == (0, ["a"])
    assert len(listed.err.splitlines()) == 2
    some = await command("publisher", "results", "strange", "a", "--json")
    assert (some.code, [row["id"] for row in some.objects]) == (1, ["a"])


async def test_the_command_gives_up_with_1(
    command: Command, mover: Mover, operator: Client, tmp_path: Path
) -> None:
    js = operator.jetstream()
    config = (await js.stream_info("ARTICLES")).config
    config.max_msgs = 1
    await js.update_stream(config)
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"".join(b'{"id":"n%d","title":"t","body":"b"}\n' % n for n in range(3)))
    ran = await command("publisher", "publish", str(file), "--give-up", "0.2")
    assert ran.code == 1
    assert ran.out.startswith("1 published, 2 not sent (")
    said = ran.err.splitlines()
    assert said[0] == "the queue is full (maximum messages exceeded); waiting"
    assert len([line for line in said if line.endswith(": not sent") and str(file) in line]) == 2
    assert "error: Gave up after 0.2 s: the queue is full (maximum messages exceeded)." in said
    again = await command("publisher", "publish", str(file), "--give-up", "0.2", "--json")
    assert again.code == 1
    events = [event["status"] for event in again.objects]
    assert sorted(events) == ["not sent", "not sent", "waits already"]


async def test_a_folder_is_refused_by_name(command: Command, tmp_path: Path) -> None:
    ran = await command("publisher", "publish", str(tmp_path))
    assert (ran.code, ran.err) == (1, f"error: {tmp_path} is a directory; name the files in it.\n")


@pytest.mark.parametrize(
    "asked",
    [["results"], ["recipe", "ls"], ["batch", "ls"], ["dead", "show", "x"], ["dead", "ls"], ["status"]],
)
async def test_before_the_first_worker_they_say_who_makes_the_queue(
    command: Command, server: Server, asked: list[str]
) -> None:
    ran = await command("operator", *asked)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: NATS has no queue yet") and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("recipe", ["한글", "od d", "a.b", ""])
async def test_a_recipe_that_cannot_be_is_refused_before_anything_moves(
    command: Command, mover: Mover, tmp_path: Path, recipe: str
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id":"a","title":"t","body":"b"}')
    for asked in ([str(file)], ["--watch", str(tmp_path), "--once"]):
        assert (await command("publisher", "publish", *asked, "--recipe", recipe)).code == 2
    assert file.exists()


async def test_a_user_without_the_right_is_told_in_one_sentence(command: Command, mover: Mover) -> None:
    ran = await command("publisher", "status")
    assert (ran.code, "Traceback" in ran.err, "exception" in ran.err) == (1, False, False)
    assert "`operator`" in ran.err.splitlines()[-1]


async def test_status_counts(command: Command, mover: Mover) -> None:
    await command("publisher", "publish", "-", "--lane", "high", stdin='{"id":"a","title":"t","body":"b"}')
    people = await command("operator", "status")
    assert "no worker is present" in people.out
    [status] = (await command("operator", "status", "--json")).objects
    assert status["workers"] == []
    lane = status["queue"]["lanes"][0]
    assert (lane["lane"], lane["waiting"], lane["in_flight"]) == ("high", 1, 0)
    assert 0 <= lane["oldest_seconds"] < 60


async def test_chat_without_a_worker_is_one_clear_line(command: Command, mover: Mover) -> None:
    ran = await command("publisher", "chat", "hi")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: No worker is there to answer")
    named = await command("publisher", "chat", "hi", "--model", "x/Y")
    assert "No worker serves the model `x/Y`" in named.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish"],
        ["publish", "/nowhere/a.jsonl"],
        ["publish", "-", "--lane", "slow"],
        ["results", "a", "--follow"],
        ["chat", ""],
        ["chat"],
        ["nonsense"],
    ],
)
async def test_wrong_usage_is_2(arguments: list[str]) -> None:
    ran = await run(*arguments, env={})
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err


async def test_a_wrong_setting_is_2(tmp_path: Path) -> None:
    ran = await run("status", env={"NATS_MLX_NONSENSE": "1"})
    assert ran.code == 2
    assert ran.err.startswith("error: Unknown setting NATS_MLX_NONSENSE")
    assert len(ran.err.splitlines()) == 1


async def test_a_wrong_password_and_no_server_are_told(server: Server, tmp_path: Path) -> None:
    env = {"NATS_MLX_DATA_DIR": str(tmp_path), "NATS_USER": "operator", "NATS_PASSWORD": "wrong"}
    refused = await run("status", env=env | {"NATS_URL": server.url})
    assert refused.code == 1
    assert "refused" in refused.err
    absent = await run("status", env=env | {"NATS_URL": "nats://127.0.0.1:1"})
    assert absent.code == 1
    assert absent.err.count("\n") == 1


async def test_a_running_up_is_found_by_its_note(server: Server, mover: Mover, tmp_path: Path) -> None:
    """The server's fixture keeps its passwords in the same folder as `up` does."""
    folder = Folder(tmp_path)
    folder.announce(Running(os.getpid(), server.url, "http://x"))
    env = {"NATS_MLX_DATA_DIR": str(tmp_path)}
    assert (await run("status", env=env)).code == 0
    article = '{"id":"a","title":"t","body":"b"}'
    assert (await run("publish", "-", env=env, stdin=article)).out.startswith("1 published")
    assert (await run("status", env=env | {"NATS_URL": server.url})).code == 0
    folder.close()
