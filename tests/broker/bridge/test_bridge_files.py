"""`/v1/files` against a real server: streamed up and down, found and removed, and what is refused."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from batching import Api, form, jsonl, line
from raw_http import Raw

from bridge.client import files
from schemas import streams, subjects
from tests.until import seen, until

if TYPE_CHECKING:
    from conftest import Start, Work
    from launching import Launch

MB = 1024 * 1024


async def messages(work: Work) -> int:
    """What lies in the store: chunks and names."""
    return (await work.operator.jetstream().stream_info("OBJ_llm_files")).state.messages


async def test_a_file_comes_back_as_it_went(work: Work, http: aiohttp.ClientSession) -> None:
    api, content = Api(http), random.Random(1).randbytes(3 * MB + 17)
    told = await api.upload(content)
    assert (told["bytes"], told["filename"], told["purpose"]) == (len(content), "in.jsonl", "batch")
    assert (told["object"], told["expires_at"] - told["created_at"]) == ("file", 30 * 24 * 3600)
    assert await api.content(told["id"]) == content
    assert (await api.ask("GET", f"/v1/files/{told['id']}")) == (200, told)
    # As any other client of NATS finds it.
    store = await work.operator.jetstream().object_store("llm_files")
    assert (await store.get(told["id"])).data == content
    assert (await api.ask("DELETE", f"/v1/files/{told['id']}")) == (
        200,
        {"id": told["id"], "object": "file", "deleted": True},
    )
    assert await messages(work) == 0
    for path in ("", "/content"):
        status, error = await api.ask("GET", f"/v1/files/{told['id']}{path}")
        assert (status, error["error"]["code"]) == (404, "file_not_found")


async def test_files_are_listed_in_pages(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    ids = [(await api.upload(b"{}"))["id"] for _ in range(3)]
    status, found = await api.ask("GET", "/v1/files")
    assert (status, [one["id"] for one in found["data"]]) == (200, ids[::-1])
    assert (found["object"], found["has_more"], found["first_id"], found["last_id"]) == (
        "list",
        False,
        ids[2],
        ids[0],
    )
    _, found = await api.ask("GET", "/v1/files", params={"order": "asc", "limit": "2"})
    assert ([one["id"] for one in found["data"]], found["has_more"]) == (ids[:2], True)
    _, found = await api.ask("GET", "/v1/files", params={"order": "asc", "limit": "2", "after": ids[1]})
    assert ([one["id"] for one in found["data"]], found["has_more"]) == (ids[2:], False)
    _, found = await api.ask("GET", "/v1/files", params={"purpose": "batch_output"})
    assert found["data"] == []
    status, error = await api.ask("GET", "/v1/files", params={"after": "file-x"})
    assert (status, error["error"]["param"]) == (400, "after")


async def test_a_file_expires_by_itself(work: Work, http: aiohttp.ClientSession) -> None:
    told = await Api(http).upload(
        b"{}", **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    )
    assert told["expires_at"] - told["created_at"] == 3600
    js = work.operator.jetstream()
    chunk, name = [await js.get_msg("OBJ_llm_files", number) for number in (1, 2)]
    assert (name.headers or {})["Nats-TTL"] == "3600s"
    # Whoever began to read it goes on.
    assert (chunk.headers or {})["Nats-TTL"] == f"{3600 + 2 * 24 * 3600}s"


async def test_a_name_that_is_no_utf_8_is_told_as_far_as_it_is(
    work: Work, http: aiohttp.ClientSession
) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="'
    body = (
        head + b'purpose"\r\n\r\nbatch\r\n' + head + b'file"; filename="caf\xe9.jsonl"\r\n\r\n{}\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, told = await Api(http).ask("POST", "/v1/files", data=body, headers=headers)
    assert (status, told["filename"]) == (200, "caf?.jsonl")


async def test_a_store_without_room_is_told_and_nothing_is_left(
    work: Work, http: aiohttp.ClientSession
) -> None:
    js = work.operator.jetstream()
    config = (await js.stream_info("OBJ_llm_files")).config
    config.max_bytes = 2 * MB
    await js.update_stream(config)
    status, error = await Api(http).ask("POST", "/v1/files", data=form(random.Random(1).randbytes(3 * MB)))
    assert (status, error["error"]["code"], error["error"]["param"]) == (413, "storage_full", "file")
    assert await messages(work) == 0
    assert (await Api(http).upload(b"{}"))["bytes"] == 2


@pytest.mark.parametrize(
    ("fields", "content", "param", "code"),
    [
        ({"purpose": "assistants"}, b"{}", "purpose", "invalid_value"),
        ({"more": "x"}, b"{}", "more", "invalid_value"),
        ({"expires_after[anchor]": "created_at"}, b"{}", "seconds", "missing_required_parameter"),
        (
            {"expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
            b"{}",
            "anchor",
            "invalid_value",
        ),
        (
            {"expires_after[anchor]": "created_at", "expires_after[seconds]": "1"},
            b"{}",
            "seconds",
            "invalid_value",
        ),
        ({}, b"", "file", "empty_file"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    work: Work, http: aiohttp.ClientSession, fields: dict[str, str], content: bytes, param: str, code: str
) -> None:
    status, error = await Api(http).ask("POST", "/v1/files", data=form(content, **fields))
    assert (status, error["error"]["param"], error["error"]["code"]) == (400, param, code)
    assert await messages(work) == 0


async def test_a_form_needs_its_purpose_and_its_file(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    alone = aiohttp.FormData()
    alone.add_field("file", b"{}", filename="in.jsonl")
    for data, told, param in ((alone, 400, "purpose"), ({"purpose": "batch"}, 415, None)):
        status, error = await api.ask("POST", "/v1/files", data=data)
        assert (status, error["error"]["param"]) == (told, param)
    assert await messages(work) == 0
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (
        b"",
        b"--x\r\n\r\n",
        b"nonsense",
        b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nhalf",
    ):
        status, error = await api.ask("POST", "/v1/files", data=body, headers=boundary)
        assert (status, error["error"]["type"]) == (400, "invalid_request_error"), body
    assert await messages(work) == 0


async def test_too_large_a_file_is_refused(
    work: Work, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", MB)
    for size in (MB + 1, 2 * MB):
        status, error = await Api(http).ask("POST", "/v1/files", data=form(bytes(size)))
        assert (status, error["error"]["code"]) == (413, "payload_too_large")
    assert await messages(work) == 0


async def test_who_hangs_up_leaves_nothing(work: Work, http: aiohttp.ClientSession) -> None:
    reached = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield bytes(MB)
        reached.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(Api(http).ask("POST", "/v1/files", data=form(half())))
    await asyncio.wait_for(reached.wait(), 10)
    await seen(lambda: messages(work))
    asking.cancel()
    await until(lambda: messages(work), 0)


async def test_a_file_that_a_batch_needs_stays(work: Work, http: aiohttp.ClientSession) -> None:
    api = Api(http)
    file = await api.upload(jsonl(line("a")))
    batch = await api.begin(file["id"])
    status, error = await api.ask("DELETE", f"/v1/files/{file['id']}")
    assert (status, error["error"]["type"]) == (409, "invalid_request_error")
    await api.ask("POST", f"/v1/batches/{batch['id']}/cancel")
    await api.until(batch["id"])
    assert (await api.ask("DELETE", f"/v1/files/{file['id']}"))[0] == 200


async def test_what_is_no_batch_keeps_no_file(work: Work, http: aiohttp.ClientSession) -> None:
    """An operator's hand, or a bridge of another version."""
    api = Api(http)
    file = await api.upload(jsonl(line("a")))
    subject = subjects.key(streams.BATCH_BUCKET.bucket, "batch_strange")
    await work.operator.jetstream().publish(subject, b'{"batch":{"id":"batch_strange"}}')
    status, found = await api.ask("GET", "/v1/batches")
    assert (status, found["data"]) == (200, [])
    assert (await api.ask("DELETE", f"/v1/files/{file['id']}"))[0] == 200


async def test_what_others_put_or_remove_in_the_store_hides_no_file(
    work: Work, http: aiohttp.ClientSession
) -> None:
    """As the `nats` CLI does it for an operator."""
    api = Api(http)
    kept, removed = await api.upload(b"{}\n"), await api.upload(b"{}\n")
    store = await work.operator.jetstream().object_store("llm_files")
    await store.put("notes.txt", b"of an operator")
    await store.delete(removed["id"])
    status, found = await api.ask("GET", "/v1/files")
    assert (status, [one["id"] for one in found["data"]]) == (200, [kept["id"]])
    for place in ("", "/content"):
        assert (await api.ask("GET", f"/v1/files/{removed['id']}{place}"))[0] == 404


async def test_a_damaged_file_is_not_given_as_whole(work: Work, start: Start) -> None:
    http = await start()
    file = await Api(http).upload(bytes(3 * MB))
    await work.operator.jetstream().delete_msg("OBJ_llm_files", 4)
    async with http.get(f"/v1/files/{file['id']}/content") as answer:
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    raw = await Raw.connect(http)
    await raw.send(f"GET /v1/files/{file['id']}/content HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(10):
        received = await raw.reader.read(-1)  # until the bridge hangs up
    assert len(received) > MB
    assert received.count(b"HTTP/1.1 ") == 1, "an error was written into the file"
    raw.writer.close()


def peak(pid: int) -> int:
    """The most memory that it ever held, in bytes."""
    for field in Path(f"/proc/{pid}/status").read_text().splitlines():
        if field.startswith("VmHWM:"):
            return int(field.split()[1]) * 1024
    raise AssertionError(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_stays_flat_whatever_the_size(nats_server: str, launch: Launch, work: Work) -> None:
    size = int(os.environ.get("MEGABYTES", "40")) * MB
    piece = random.Random(2).randbytes(MB)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // MB):
            yield piece

    bridge = await launch(nats_server)
    url = (await bridge.logged("listening"))["url"]
    await bridge.logged("nats_connected")
    async with aiohttp.ClientSession(url) as http:
        api = Api(http)
        for _ in range(2):  # what is made once, is there
            small = await api.upload(piece)
            await api.content(small["id"])
        before = peak(bridge.process.pid)
        started = time.monotonic()
        told: Any = await api.upload(pieces())
        up = time.monotonic()
        async with http.get(f"/v1/files/{told['id']}/content") as answer:
            count = 0
            async for chunk in answer.content.iter_chunked(MB):
                count += len(chunk)
        down = time.monotonic()
        grown = peak(bridge.process.pid) - before
        await api.ask("DELETE", f"/v1/files/{told['id']}")
    # By hand with more: MEGABYTES=200 pytest -n 0 -s -k flat
    took = f"up {up - started:.1f} s, down {down - up:.1f} s"
    sys.stderr.write(f"{size // MB} MB: {took}, memory {before / MB:.0f} MB + {grown / MB:.1f}\n")
    assert (told["bytes"], count) == (size, size)
    assert grown < 16 * MB
