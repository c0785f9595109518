"""`/v1/batches` against a real server: OpenAI's states, counts and files, with the bridge's and the worker's rights."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from batching import CHAT, Api, answer_one, jsonl, let_expire, line, parsed, working

from tests.until import seen, until

if TYPE_CHECKING:
    from conftest import Work


async def test_each_line_is_answered_once_in_order(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    names = [f"c{number}" for number in range(300)]
    file = await api.upload(jsonl(*map(line, names)))
    batch = await api.begin(file["id"], metadata={"night": "monday"})
    async with working(work.worker):
        done = await api.until(batch["id"])
    assert (done["status"], done["errors"], done["error_file_id"]) == ("completed", None, None)
    assert done["request_counts"] == {"total": 300, "completed": 300, "failed": 0}
    assert done["usage"]["total_tokens"] == 900
    assert (done["metadata"], done["model"]) == ({"night": "monday"}, "quick")
    output = parsed(await api.content(done["output_file_id"]))
    assert [one["custom_id"] for one in output] == names
    assert {one["response"]["status_code"] for one in output} == {200}
    assert {one["response"]["body"]["choices"][0]["message"]["content"] for one in output} == {"Quite so."}
    assert len({one["id"] for one in output}) == 300
    js = work.operator.jetstream()

    async def left() -> list[int]:
        names = ("BATCHES", "BATCH_LINES", "BATCH_RESULTS")
        return [(await js.stream_info(name)).state.messages for name in names]

    await until(left, [0, 0, 0])  # taken away a moment after its end is told


async def test_responses_are_answered_as_responses(work: Work, http: aiohttp.ClientSession) -> None:
    api, url = Api(http), "/v1/responses"
    lines = [line("a", url, metadata={"k": "v"}), line("b", url, store=True), line("c", url, temperature=3)]
    batch = await api.begin((await api.upload(jsonl(*lines)))["id"], url)
    async with working(work.worker):
        done = await api.until(batch["id"])
    assert done["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    [answered] = parsed(await api.content(done["output_file_id"]))
    response = answered["response"]["body"]
    assert (response["object"], response["status"], response["metadata"]) == (
        "response",
        "completed",
        {"k": "v"},
    )
    assert response["output"][0]["content"][0]["text"] == "Quite so."
    failed = parsed(await api.content(done["error_file_id"]))
    assert [(one["custom_id"], one["response"]["status_code"]) for one in failed] == [("b", 400), ("c", 400)]
    assert [one["response"]["body"]["error"]["param"] for one in failed] == ["store", "temperature"]


async def test_completions_are_answered_as_completions(work: Work, http: aiohttp.ClientSession) -> None:
    """Of two prompts each."""
    api, url = Api(http), "/v1/completions"
    lines = [line("a", url), line("b", url, echo=True)]
    batch = await api.begin((await api.upload(jsonl(*lines)))["id"], url)
    async with working(work.worker):
        done = await api.until(batch["id"])
    assert done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    [answered] = parsed(await api.content(done["output_file_id"]))
    assert answered["response"]["body"]["object"] == "text_completion"
    assert [one["text"] for one in answered["response"]["body"]["choices"]] == ["Quite so.", "Quite so."]
    assert done["usage"]["total_tokens"] == answered["response"]["body"]["usage"]["total_tokens"] == 6
    [failed] = parsed(await api.content(done["error_file_id"]))
    assert failed["response"]["body"]["error"]["param"] == "echo"


async def test_a_file_with_faults_fails_with_its_lines(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    content = jsonl(
        line("a"), line("a"), line("b", "/v1/responses"), line("c", stream=True), line("d", model="x")
    )
    batch = await api.begin((await api.upload(content + b"\n{]\n"))["id"])
    failed = await api.until(batch["id"])
    assert (failed["status"], failed["output_file_id"], failed["error_file_id"]) == ("failed", None, None)
    assert failed["failed_at"] >= failed["created_at"]
    assert failed["errors"]["object"] == "list"
    assert [(one["line"], one["code"], one["param"]) for one in failed["errors"]["data"]] == [
        (2, "duplicate_custom_id", "custom_id"),
        (3, "url_mismatch", "url"),
        (4, "invalid_value", "body.stream"),
        (5, "model_mismatch", "body.model"),
        (6, "invalid_json_line", None),
        (7, "invalid_json_line", None),
    ]
    assert (await work.operator.jetstream().stream_info("BATCH_LINES")).state.messages == 0


async def test_a_file_of_long_faults_fails_too(work: Work, http: aiohttp.ClientSession) -> None:
    """All of them are told in one message."""
    api = Api(http)
    batch = await api.begin((await api.upload(jsonl(*({"가" * 945: "x"} for _ in range(110)))))["id"])
    failed = await api.until(batch["id"])
    assert (failed["status"], len(failed["errors"]["data"])) == ("failed", 100)
    first = failed["errors"]["data"][0]
    assert first["message"].startswith("Unknown field `가가") and first["param"].startswith("가가")


async def test_what_a_batch_may_not_be(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    file = (await api.upload(jsonl(line("a"))))["id"]
    good = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    for wrong, param in (
        ({"input_file_id": "file-x"}, "input_file_id"),
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"k": "v" * 513}}, "metadata[...]"),
        ({"more": 1}, "more"),
    ):
        status, error = await api.ask("POST", "/v1/batches", json=good | wrong)
        assert (status, error["error"]["param"]) == (400, param)
    for method, path in (("GET", "/v1/batches/x"), ("POST", f"/v1/batches/batch_{'0' * 32}/cancel")):
        status, error = await api.ask(method, path)
        assert (status, error["error"]["code"]) == (404, "batch_not_found")
    assert (await api.ask("GET", "/v1/batches"))[1]["data"] == []


async def test_batches_are_listed_in_pages(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    file = (await api.upload(jsonl(line("a"))))["id"]
    ids = [(await api.begin(file))["id"] for _ in range(3)]
    _, first = await api.ask("GET", "/v1/batches", params={"limit": "2"})
    assert (first["has_more"], first["last_id"], len(first["data"])) == (True, first["data"][1]["id"], 2)
    _, rest = await api.ask("GET", "/v1/batches", params={"after": first["last_id"]})
    assert rest["has_more"] is False
    assert {one["id"] for one in first["data"] + rest["data"]} == set(ids)


async def test_a_cancelled_batch_has_what_was_done(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    batch = await api.begin((await api.upload(jsonl(*(line(f"c{n}") for n in range(5)))))["id"])
    await api.until(batch["id"], "in_progress")
    await answer_one(work.worker)
    await seen(lambda: api.batch(batch["id"]), lambda found: found["request_counts"]["completed"] > 0)
    status, found = await api.ask("POST", f"/v1/batches/{batch['id']}/cancel")
    assert (status, found["status"]) == (200, "cancelling")
    done = await api.until(batch["id"])
    assert (done["status"], done["request_counts"]) == (
        "cancelled",
        {"total": 5, "completed": 1, "failed": 0},
    )
    assert done["cancelled_at"] >= done["cancelling_at"]
    assert [one["custom_id"] for one in parsed(await api.content(done["output_file_id"]))] == ["c0"]
    errors = parsed(await api.content(done["error_file_id"]))
    assert [(one["custom_id"], one["response"], one["error"]["code"]) for one in errors] == [
        (f"c{n}", None, "batch_cancelled") for n in range(1, 5)
    ]
    status, error = await api.ask("POST", f"/v1/batches/{batch['id']}/cancel")
    assert (status, error["error"]["code"]) == (409, "conflict")
    assert (await work.operator.jetstream().stream_info("BATCH_LINES")).state.messages == 0


async def test_one_that_finds_no_room_can_be_cancelled(work: Work, http: aiohttp.ClientSession) -> None:
    js = work.operator.jetstream()
    config = (await js.stream_info("BATCH_LINES")).config
    config.max_msgs = 1
    await js.update_stream(config)
    api = Api(http)
    batch = await api.begin((await api.upload(jsonl(*(line(f"c{n}") for n in range(3)))))["id"])
    await api.until(batch["id"], "in_progress")
    await seen(lambda: js.stream_info("BATCH_LINES"), lambda info: info.state.messages > 0)
    await api.ask("POST", f"/v1/batches/{batch['id']}/cancel")
    async with asyncio.timeout(10):
        done = await api.until(batch["id"])
    assert (done["status"], done["request_counts"]) == (
        "cancelled",
        {"total": 3, "completed": 0, "failed": 0},
    )
    assert (await js.stream_info("BATCH_LINES")).state.messages == 0


async def test_what_is_not_done_in_time_expires(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    batch = await api.begin((await api.upload(jsonl(*(line(f"c{n}") for n in range(3)))))["id"])
    await api.until(batch["id"], "in_progress")
    await answer_one(work.worker)
    await let_expire(work.operator, batch["id"])
    done = await api.until(batch["id"])
    assert (done["status"], done["request_counts"]) == ("expired", {"total": 3, "completed": 1, "failed": 0})
    assert done["expired_at"] >= done["created_at"]
    assert [one["custom_id"] for one in parsed(await api.content(done["output_file_id"]))] == ["c0"]
    errors = parsed(await api.content(done["error_file_id"]))
    assert [(one["custom_id"], one["error"]["code"]) for one in errors] == [
        ("c1", "batch_expired"),
        ("c2", "batch_expired"),
    ]
