"""`nats-mlx batch`, with a bridge that looks after what it begins and a worker that answers at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from batching import Api, jsonl, line, working

from bridge.client import files
from tests.broker.cli.test_commands import Ran, run

if TYPE_CHECKING:
    from conftest import Work

Batch = Callable[..., Coroutine[Any, Any, Ran]]


@pytest.fixture
def batch(nats_server: str, tmp_path: Path) -> Batch:
    """Calls it as the operator."""

    async def call(*arguments: str) -> Ran:
        env = {
            "NATS_URL": nats_server, "NATS_USER": "operator", "NATS_PASSWORD": "operator-secret",
            "NATS_MLX_DATA_DIR": str(tmp_path / "none"),
        }  # fmt: skip
        return await run("batch", *arguments, env=env)

    return call


async def test_a_file_becomes_answers(
    batch: Batch, work: Work, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    file, out = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    file.write_bytes(jsonl(line("a"), line("b", temperature=3), line("c")))
    async with working(work.worker):
        to_file = await batch("run", str(file), "-o", str(out))
        to_stdout = await batch("run", str(file))
    for ran, text in ((to_file, out.read_text()), (to_stdout, to_stdout.out)):
        assert [json.loads(one)["custom_id"] for one in text.splitlines()] == ["a", "c"]
        begun, failed, over = ran.err.splitlines()[-3:]
        name = begun.split()[0]
        assert failed.startswith("b: Invalid value for `temperature`: ")
        assert over.startswith(f"{name}: completed, 2 of 3 answered, 1 failed (")
        assert ran.code == 1
    assert to_file.out == ""
    [newest, oldest] = (await batch("ls", "--json")).out.splitlines()
    assert json.loads(newest)["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    rows = [row.split() for row in (await batch("ls")).out.splitlines()]
    assert rows[0] == ["id", "status", "answered", "failed"]
    assert [row[0] for row in rows[1:]] == [json.loads(one)["id"] for one in (newest, oldest)]
    assert rows[1][1:6] == ["completed", "2", "of", "3", "1"]
    again = await batch("get", json.loads(newest)["id"])
    assert (again.out, again.code) == (to_stdout.out, 1)


async def test_all_answered_is_success(
    batch: Batch, work: Work, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_bytes(jsonl(line("a", "/v1/completions")))
    async with working(work.worker):
        ran = await batch("run", str(file))
    assert (ran.code, json.loads(ran.out)["response"]["body"]["object"]) == (0, "text_completion")


async def test_what_cannot_begin_says_why(
    batch: Batch, work: Work, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    file = tmp_path / "asked.jsonl"
    for text, why in (
        (b"", f"error: {file} is empty: a batch needs at least one request.\n"),
        (b"no json\n", f"error: {file}:1: The line is not valid JSON in UTF-8."),
        (
            jsonl(line("a", url="/v1/completions") | {"url": "/v1/embeddings"}),
            f"error: {file}:1: `/v1/embeddings` is no `url` of a batch; ",
        ),
    ):
        file.write_bytes(text)
        ran = await batch("run", str(file))
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(why), ran.err
        assert (await work.operator.jetstream().stream_info("OBJ_llm_files")).state.messages == 0
    assert (await batch("run", str(file), "-o", str(tmp_path / "none" / "x"))).code == 2
    file.write_bytes(jsonl(line("a"), line("a")))
    ran = await batch("run", str(file))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-2].startswith("line 2: The custom_id `a` is another line's already")
    with file.open("wb") as large:
        large.truncate(files.MAX_BYTES + 1)
    assert "209,715,200 are the most" in (await batch("run", str(file))).err


async def test_one_is_cancelled(batch: Batch, work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    begun = await api.begin((await api.upload(jsonl(line("a"))))["id"])
    await api.until(begun["id"], "in_progress")
    ran = await batch("cancel", begun["id"])
    assert (ran.code, ran.out) == (0, f"{begun['id']}: cancelling\n")
    ended = await batch("get", begun["id"])
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[0] == "a: The batch was cancelled before this request was executed."
    late = await batch("cancel", begun["id"])
    assert (late.code, late.err) == (1, "error: A batch that is `cancelled` cannot be cancelled.\n")
    none = await batch("get", "x")
    assert (none.code, none.err) == (1, "error: No batch found with id 'x'.\n")
