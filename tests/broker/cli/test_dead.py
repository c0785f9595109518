"""Dead letters over a real server: chosen, sent again without loss or doubles, and removed."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import os
import pty
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.cli import dead
from bridge.client import Client, letters, stored
from bridge.client.gate import Gate
from bridge.client.letters import Letter, Wanted
from schemas import streams
from schemas.articles import DeadLetter
from schemas.errors import BadRequest, NotFound, Unavailable

if TYPE_CHECKING:
    from conftest import Mover, Server

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
GATE = Gate(print)


def letter(key: str, recipe: str = "coin", sequence: int = 10**6, **fields: object) -> DeadLetter:
    return DeadLetter(
        **{  # type: ignore[arg-type]
            "subject": f"articles.norm.{recipe}.{key}", "stream": "ARTICLES", "sequence": sequence,
            "reason": "answer_too_long", "error": "The answer did not end.", "attempts": 3, "worker": "w",
            "failed_at": NOW, "first_published": NOW,
        } | fields
    )  # fmt: skip


async def bury(nc: Client, key: str, recipe: str = "coin", payload: bytes = b"{}", **fields: object) -> int:
    subject = f"dead.ARTICLES.{recipe}.{key}"
    headers = letter(key, recipe, **fields).headers()  # type: ignore[arg-type]
    ack = await nc.jetstream().publish(subject, payload, headers=headers)
    return ack.seq


async def waiting(nc: Client) -> int:
    return (await nc.jetstream().stream_info("ARTICLES")).state.messages


async def found(nc: Client, wanted: Wanted | None = None) -> list[str]:
    return [one.id async for one in letters.every(nc, wanted or Wanted())]


async def test_they_are_chosen_by_recipe_and_reason(mover: Mover, operator: Client) -> None:
    for key, recipe, reason in [
        ("a", "coin", "x"),
        ("b", "coin", "y"),
        ("c", "news", "x"),
        ("a", "news", "y"),
    ]:
        await bury(operator, key, recipe, reason=reason)
    await operator.jetstream().publish("dead.ARTICLES.coin.rubbish", b"no letter")
    assert await found(operator) == ["a", "b", "c", "a", "rubbish"]
    assert await found(operator, Wanted("coin")) == ["a", "b", "rubbish"]
    assert await found(operator, Wanted(reason="x")) == ["a", "c"]
    assert await found(operator, Wanted("news", "y")) == ["a"]
    assert (await letters.find(operator, Wanted(), "c")).recipe == "news"
    assert (await letters.find(operator, Wanted(reason="y"), "a")).recipe == "news"
    with pytest.raises(BadRequest, match=r"several recipes \(coin, news\).*--recipe"):
        await letters.find(operator, Wanted(), "a")
    with pytest.raises(NotFound, match="`c` of the recipe `coin` with the reason `x`"):
        await letters.find(operator, Wanted("coin", "x"), "c")
    rubbish = await letters.find(operator, Wanted(), "rubbish")
    with pytest.raises(BadRequest, match="not a dead letter"):
        await letters.retry(operator, rubbish, GATE)


async def test_a_retry_that_died_before_it_removed_the_letter_is_finished_by_the_next(
    mover: Mover, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each state that it may have left: still waiting, analysed meanwhile, dead again."""
    remove = letters.remove

    async def dies(*_: object) -> None:
        raise ConnectionError

    for key in "abc":
        await bury(operator, key, payload=b'{"id":"%s","title":"t","body":"b"}' % key.encode())
        monkeypatch.setattr(letters, "remove", dies)
        with pytest.raises(ConnectionError):
            await letters.retry(operator, await letters.find(operator, Wanted(), key), GATE)
        monkeypatch.setattr(letters, "remove", remove)
    assert (await found(operator), await waiting(operator)) == (["a", "b", "c"], 3)  # nothing is lost
    stale = await letters.find(operator, Wanted(), "c")
    mover.verdict = lambda message: "again" if message.subject.endswith(".c") else None
    for key, fate in (("a", "waits already"), ("b", "analysed already")):
        if key == "b":
            async with mover.at_work():
                while await waiting(operator):
                    await stored.last(operator, "ARTICLES", "articles.norm.coin.c")
        assert await letters.retry(operator, await letters.find(operator, Wanted(), key), GATE) == fate
    assert await found(operator) == ["c"]
    await letters.remove(operator, stale)  # what the first retry would have done next
    [one] = [one async for one in letters.every(operator, Wanted())]
    assert one.letter is not None and one.letter.error == "again"  # the newer letter stays
    assert sorted(mover.taken) == [f"articles.norm.coin.{key}" for key in "abc"]  # nothing is doubled


async def test_a_letter_whose_original_is_still_on_the_queue_stays(mover: Mover, operator: Client) -> None:
    """Its writer takes the original off the queue next: without the letter, both would be gone."""
    js = operator.jetstream()
    ack = await js.publish("articles.norm.coin.a", b"{}")
    await bury(operator, "a", sequence=ack.seq)
    one = await letters.find(operator, Wanted(), "a")
    assert await letters.retry(operator, one, GATE) == "not let go yet"
    assert await found(operator) == ["a"]
    await js.delete_msg("ARTICLES", ack.seq)
    assert await letters.retry(operator, one, GATE) == "sent again"
    assert (await found(operator), await waiting(operator)) == ([], 1)


async def test_the_largest_article_can_be_sent_again(mover: Mover, operator: Client) -> None:
    """What others published without our headers may leave no room for them."""
    most = streams.ARTICLES.max_msg_size
    for key, room in (("a", 0), ("b", 120), ("c", 400)):
        await bury(operator, key, payload=b"x" * (most - room))
        one = await letters.find(operator, Wanted(), key)
        assert await letters.retry(operator, one, GATE) == "sent again"
    carried = []
    for key in "abc":
        sent = await stored.last(operator, "ARTICLES", f"articles.norm.coin.{key}")
        assert sent is not None
        carried.append(sum(name.startswith("Llm-") for name in sent.headers))
    assert carried == [0, 1, 3]


async def test_all_are_those_that_were_there(mover: Mover, operator: Client) -> None:
    """What dies again while all are sent again is not sent again for ever."""
    for number in range(3):
        await bury(operator, f"n{number}")
    seen = []
    async for one in letters.every(operator, Wanted()):
        seen.append(one.id)
        assert len(seen) <= 3
        await letters.remove(operator, one)
        await bury(operator, one.id, error="again")
    assert seen == ["n0", "n1", "n2"]


async def test_a_refused_removal_is_told(mover: Mover, operator: Client) -> None:
    await stored.remove(operator, "DEAD", 4711)  # gone: somebody else did it
    with pytest.raises(Unavailable, match="did not remove"):
        await stored.remove(operator, "NOWHERE", 1)


async def test_ten_thousand_are_read_in_pages(
    mover: Mover, operator: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth of them here; never more than a page of letters is held."""
    js = operator.jetstream()
    headers = letter("x").headers()
    await asyncio.gather(
        *(js.publish(f"dead.ARTICLES.coin.{n:064}", b"{}", headers=dict(headers)) for n in range(1000))
    )
    alive, most = 0, 0

    class Counted(Letter):
        def __new__(cls, *values: object) -> Counted:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return super().__new__(cls, *values)  # type: ignore[arg-type]

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    monkeypatch.setattr(letters, "Letter", Counted)
    found = [one.id[-4:] async for one in letters.every(operator, Wanted())]
    assert sorted(found) == [f"{n:04}" for n in range(1000)]
    assert most < 10


@pytest.fixture
def env(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process are the operator's."""
    for name in [name for name in os.environ if name.startswith("NATS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NATS_URL", server.url)
    monkeypatch.setenv("NATS_USER", "operator")
    monkeypatch.setenv("NATS_PASSWORD", server.credentials.password("operator"))


async def call(*arguments: str) -> int:
    """The command as a person's terminal calls it, beside this test's own loop."""
    from typer.main import get_command

    def run() -> int:
        try:
            return get_command(dead.app).main(list(arguments), "dead", standalone_mode=True) or 0
        except SystemExit as end:
            return int(end.code or 0)

    return await asyncio.to_thread(run)


@pytest.mark.usefixtures("env")
async def test_the_commands_say_what_they_did(
    mover: Mover, operator: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    for key in ("a", "b", "c" * 64, "d"):
        await bury(operator, key, reason="x" if key == "d" else "y", payload=b'{"raw":"\xff"}')
    assert await call("ls") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "recipe", "reason", "tries", "error"]
    assert "c" * 64 in lines  # whole, on a line of its own
    assert max(map(len, lines)) <= 80
    assert await call("ls", "--reason", "x", "--json") == 0
    [one] = map(json.loads, capfd.readouterr().out.splitlines())
    assert (one["id"], one["letter"]["first_published"]) == ("d", "2026-01-02T03:04:05Z")
    assert await call("show", "d", "--json") == 0
    assert json.loads(capfd.readouterr().out)["payload_base64"] == "eyJyYXciOiL/In0="
    assert await call("retry", "a", "nobody", "d") == 1  # one is missing, the others are done
    said = capfd.readouterr()
    assert sorted(said.out.splitlines()) == ["a: sent again", "d: sent again"]  # as they end
    assert "There is no dead letter of `nobody`." in said.err
    assert await call("rm", "b", "b") == 0  # gone by then, in the middle of others
    assert capfd.readouterr().out == "b: removed\nb: removed\n"
    await bury(operator, "b", reason="y", payload=b"{}")
    assert await call("retry", "--all", "--reason", "y") == 0
    assert capfd.readouterr().out == "2 sent again\n"
    assert await found(operator) == []
    assert await waiting(operator) == 4
    for wrong in (["retry"], ["retry", "a", "--all"], ["rm"], ["show"]):
        assert await call(*wrong) == 2
        assert "--all" in capfd.readouterr().err


@pytest.mark.usefixtures("env")
async def test_removing_all_asks_a_person_and_needs_a_word_from_a_script(
    mover: Mover, operator: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for key in "abc":
        await bury(operator, key, reason="x" if key == "a" else "y")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert await call("rm", "--all") == 2
    assert "--yes" in capfd.readouterr().err
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        for answer, left in ((b"n\n", ["a", "b", "c"]), (b"y\n", ["a"])):
            os.write(ours, answer)
            assert await call("rm", "--all", "--reason", "y") == (1 if left[1:] else 0)
            assert "Remove 2 dead letters for good?" in capfd.readouterr().err
            assert await found(operator) == left
    assert await call("rm", "--all", "--yes") == 0
    assert capfd.readouterr().out == "1 removed\n"
    assert await found(operator) == []
    os.close(ours)
