"""`nats-mlx logs`: one stream out of several files, and the lines of one request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge import cli, logs
from bridge.logs import Wanted
from schemas.subjects import id_token

SERVER = "[1] 2026/11/25 10:00:00.500000 [INF] Server is ready"
DENIED = "[1] 2026/11/25 10:00:05.500000 [ERR] Permissions Violation"


def line(at: int, event: str, **fields: object) -> str:
    return json.dumps({"timestamp": f"2026-11-25T10:00:{at:02}.000000Z", "event": event} | fields) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "logs"
    found.mkdir()
    (found / "bridge.log").write_text(
        line(2, "request", level="info", request_id="r1", trace_id="t1", path="/v1")
        + line(6, "late", level="error", request_id="r2")
    )
    (found / "batch.log").write_text(
        line(7, "line", level="info", id="batch_b.3")
        + line(8, "article_dead_too", level="info", subject=f"articles.norm.coin.{id_token('한국 죽음')}")
    )
    (found / "worker.log.2026-11-25T10-00-02.1").write_text(line(1, "ready", level="info"))
    (found / "worker.log").write_text(
        line(3, "chat", level="info", request_id="r1", trace_id="t1", total=0.5)
        + "Traceback of something\n"
        + line(4, "article", level="info", id="a1", trace_id="t2")
        + line(5, "article_dead", level="warning", subject="articles.norm.coin.a2", trace_id="t2")
    )
    (found / "nats-server.log").write_text(
        "[1] 2026/11/25 10:00:00.500000 [INF] Server is ready\n"
        "[1] 2026/11/25 10:00:05.500000 [ERR] Permissions Violation\n"
    )
    return found


def events(folder: Path, wanted: Wanted) -> list[str]:
    return [str(line.fields.get("event", line.text)) for line in logs.lines(folder) if wanted.takes(line)]


def test_all_lines_come_in_the_order_of_their_times(folder: Path) -> None:
    assert events(folder, Wanted()) == [
        *(SERVER, "ready", "request", "chat", "Traceback of something"),
        *("article", "article_dead", DENIED, "late", "line", "article_dead_too"),
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(request="r1"), ["request", "chat"]),
        (Wanted(request="a1"), ["article"]),
        (Wanted(request="a2"), ["article_dead"]),
        (Wanted(request="2"), []),
        (Wanted(request="한국 죽음"), ["article_dead_too"]),
        (Wanted(request="batch_b"), ["line"]),
        (Wanted(trace="t2"), ["article", "article_dead"]),
        (Wanted(level="warning"), ["article_dead", DENIED, "late"]),
        (Wanted(request="r1", trace="t2"), []),
    ],
)
def test_those_of_one_request(folder: Path, wanted: Wanted, found: list[str]) -> None:
    assert events(folder, wanted) == found


def test_what_comes_is_followed_into_the_next_file(folder: Path) -> None:
    coming = logs.lines(folder, follow=True)
    for _ in range(11):
        next(coming)
    file = folder / "worker.log"
    with file.open("a") as out:
        out.write(line(7, "half")[:10])
        out.flush()
        file.rename(folder / "worker.log.2026-11-25T10-00-07.1")
        out.write(line(7, "half")[10:])
    file.write_text(line(8, "next"))
    (folder / "other.log").write_text(line(9, "new"))
    assert [next(coming).fields["event"] for _ in range(3)] == ["half", "next", "new"]
    coming.close()


def test_what_comes_while_the_old_is_told_is_told_once(folder: Path) -> None:
    """It takes a while to tell of many lines, and the processes go on writing and putting files aside."""
    told = logs.lines(folder, follow=True)
    found = [next(told).text]
    file = folder / "worker.log"
    with file.open("a") as out:
        out.write(line(6, "meanwhile"))
    file.rename(folder / "worker.log.2026-11-25T10-00-06.1")
    file.write_text(line(9, "in the next file"))
    found += [next(told).text for _ in range(12)]
    with file.open("a") as out:
        out.write(line(10, "last"))
    found.append(next(told).text)
    told.close()
    written = [one for log in folder.iterdir() for one in log.read_text().splitlines()]
    assert sorted(found) == sorted(written)


def test_the_command_shows_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_MLX_DATA_DIR", str(folder.parent))
    ran = CliRunner().invoke(cli.app, ["logs", "--request", "r1"])
    assert ran.exit_code == 0
    first, second = ran.stdout.splitlines()
    assert "bridge" in first
    assert "request request_id=r1 trace_id=t1 path=/v1" in first
    assert "chat" in second
    ran = CliRunner().invoke(cli.app, ["logs", "--trace", "t1", "--json"])
    assert [json.loads(one)["event"] for one in ran.stdout.splitlines()] == ["request", "chat"]
    assert CliRunner().invoke(cli.app, ["logs", "--request", "nobody"]).exit_code == 1
