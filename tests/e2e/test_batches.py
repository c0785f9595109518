"""`/v1/files` and `/v1/batches` with OpenAI's own SDK and the real model, also when worker and bridge are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types import Batch

from bridge.bench import bulk
from schemas.errors import EngineFailed
from tests.e2e.conftest import House
from tests.e2e.sdk import ANSWER, NAME, PARIS, client

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with client(house) as opened:
        yield opened


def line(name: str, url: str = CHAT, **body: Any) -> bytes:
    asked = {"model": "starter", "temperature": 0} | body
    return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": asked}).encode() + b"\n"


def chat(name: str, **body: Any) -> bytes:
    return line(name, **{"messages": PARIS, "max_tokens": 12} | body)


def begun(sdk: openai.OpenAI, content: bytes, endpoint: Any = CHAT) -> Batch:
    file = sdk.files.create(file=("in.jsonl", content), purpose="batch")
    return sdk.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"night": "monday"}
    )


def until(sdk: openai.OpenAI, batch: Batch, true: Callable[[Batch], bool], within: float = 60) -> Batch:
    deadline = time.monotonic() + within
    while not true(found := sdk.batches.retrieve(batch.id)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def over(batch: Batch) -> bool:
    return batch.status in {"completed", "failed", "expired", "cancelled"}


def lines_of(sdk: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(text) for text in sdk.files.content(file_id).text.splitlines()]


def test_a_batch_from_its_file_to_its_answers(sdk: openai.OpenAI) -> None:
    batch = begun(sdk, chat("a") + chat("b", temperature=9) + chat("c"))
    assert (batch.object, batch.status, batch.metadata) == ("batch", "validating", {"night": "monday"})
    done = until(sdk, batch, over)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 3, "completed": 2, "failed": 1}
    good = lines_of(sdk, done.output_file_id)
    assert [one["custom_id"] for one in good] == ["a", "c"]
    assert {one["response"]["body"]["choices"][0]["message"]["content"] for one in good} == {ANSWER}
    assert {one["response"]["body"]["model"] for one in good} == {NAME}
    assert done.usage is not None
    assert done.usage.output_tokens == 2 * good[0]["response"]["body"]["usage"]["completion_tokens"]
    [bad] = lines_of(sdk, done.error_file_id)
    assert (bad["custom_id"], bad["response"]["status_code"]) == ("b", 400)
    assert bad["response"]["body"]["error"]["param"] == "temperature"
    assert batch.id in [one.id for one in sdk.batches.list(limit=1)]
    listed = list(sdk.files.list(purpose="batch_output"))
    assert {done.output_file_id, done.error_file_id} <= {one.id for one in listed}
    assert sdk.files.delete(batch.input_file_id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(batch.input_file_id)


def test_responses(sdk: openai.OpenAI) -> None:
    url = "/v1/responses"
    batch = begun(sdk, line("a", url, input=PARIS[0]["content"], max_output_tokens=12), url)
    [one] = lines_of(sdk, until(sdk, batch, over).output_file_id)
    assert one["response"]["body"]["output"][0]["content"][0]["text"] == ANSWER


async def test_as_the_benchmark_sends_them(house: House) -> None:
    ask = {"model": "starter", "messages": PARIS, "temperature": 0, "max_tokens": 12}
    seconds, usages = await bulk.run(house.bridge_url, [ask, ask])
    assert seconds > 0
    assert len(usages) == 2
    assert all(0 < usage.completion_tokens <= 12 for usage in usages)
    with pytest.raises(EngineFailed, match="completed"):
        await bulk.run(house.bridge_url, [ask, ask | {"temperature": 9}])


def test_what_is_refused(sdk: openai.OpenAI) -> None:
    failed = until(sdk, begun(sdk, chat("a") + chat("a")), over)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [(one.line, one.code) for one in failed.errors.data] == [(2, "duplicate_custom_id")]
    with pytest.raises(openai.BadRequestError):
        sdk.files.create(file=("in.jsonl", b"{}"), purpose="vision")
    with pytest.raises(openai.ConflictError):
        sdk.batches.cancel(failed.id)


def test_killed_in_the_middle_and_done_once(house: House, sdk: openai.OpenAI) -> None:
    """Both die with the first answer; what the worker had comes again after its acknowledgement wait."""
    names = [f"c{number}" for number in range(20)]
    ask = [{"role": "user", "content": "Repeat the word no ten times."}]
    content = b"".join(
        chat(name, messages=ask, max_tokens=30, temperature=1, seed=n) for n, name in enumerate(names)
    )
    batch = begun(sdk, content)
    until(sdk, batch, lambda found: found.request_counts is not None and found.request_counts.completed > 0)
    for pid in children(house.process.pid, "worker", "bridge.app"):
        os.kill(pid, signal.SIGKILL)
    with client(house).with_options(max_retries=20) as again:
        done = until(again, batch, over, within=240)
        assert done.request_counts is not None
        assert done.request_counts.to_dict() == {"total": 20, "completed": 20, "failed": 0}
        answered = lines_of(again, done.output_file_id)
        assert [one["custom_id"] for one in answered] == names
        # What all lines begin with is computed for the first two of each worker's life.
        usages = [one["response"]["body"]["usage"] for one in answered]
        alone = [one for one in usages if not one["prompt_tokens_details"]["cached_tokens"]]
        assert len(alone) <= 4


def children(parent: int, *modules: str) -> list[int]:
    found = subprocess.check_output(["ps", "-axo", "ppid=,pid=,command="], text=True)
    rows = [row.split(maxsplit=2) for row in found.splitlines()]
    pids = [
        int(pid)
        for ppid, pid, command in rows
        if int(ppid) == parent and any(f"-m {module}" in command for module in modules)
    ]
    assert len(pids) == len(modules), found
    return pids
