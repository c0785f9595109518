"""Models, probes, the front page, and errors that look alike everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bridge.http import models

if TYPE_CHECKING:
    from conftest import Script, Start

MODEL = "Org/Tiny-1.0"


async def test_models_are_listed_once_in_openais_shape(http: aiohttp.ClientSession, script: Script) -> None:
    await script.present("mac-1")
    await script.present("mac-2")
    await script.put("mac-3", b"")
    await script.put("mac-4", b'{"from":"the future"}')
    async with http.get("/v1/models") as got:
        listed = await got.json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert (model["id"], model["object"], model["owned_by"]) == (MODEL, "model", "nats-mlx")
    assert isinstance(model["created"], int)


@pytest.mark.parametrize("asked", [MODEL, "tiny", "Org%2FTiny-1.0"])
async def test_a_model_is_found_by_name_and_alias(
    http: aiohttp.ClientSession, script: Script, asked: str
) -> None:
    await script.present()
    async with http.get(f"/v1/models/{asked}") as got:
        assert (got.status, (await got.json())["id"]) == (200, MODEL)


async def test_an_unknown_model_is_a_404(http: aiohttp.ClientSession, script: Script) -> None:
    await script.present()
    async with http.get("/v1/models/Org/None") as got:
        assert got.status == 404
        assert (await got.json())["error"]["code"] == "model_not_found"


async def test_ready_only_when_a_worker_is_there(http: aiohttp.ClientSession, script: Script) -> None:
    async with http.get("/healthz") as got:
        assert got.status == 200
    async with http.get("/readyz") as got:
        assert (got.status, "Retry-After" in got.headers) == (503, True)
        assert "No worker" in (await got.json())["error"]["message"]
    await script.present()
    async with http.get("/readyz") as got:
        assert (got.status, (await got.json())["workers"]) == (200, 1)


async def test_the_front_page_speaks_to_programs_and_to_people(
    http: aiohttp.ClientSession, script: Script
) -> None:
    await script.present()
    async with http.get("/") as got:
        found = await got.json()
    assert found["service"] == "nats-mlx"
    assert found["workers"][0]["worker"] == "mac-1"
    assert "/v1/models" in found["links"]
    async with http.get("/", headers={"Accept": "text/html,*/*"}) as got:
        assert (got.status, got.content_type) == (200, "text/html")


async def test_an_unknown_path_and_a_wrong_method_are_openais_errors(http: aiohttp.ClientSession) -> None:
    async with http.get("/v1/embeddings") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "unknown_url")
        assert got.headers["X-Request-Id"]
    async with http.delete("/v1/chat/completions") as got:
        assert (got.status, got.headers["Allow"]) == (405, "POST")
        assert (await got.json())["error"]["code"] == "method_not_allowed"


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(models, "_models", broken)
    http = await start()
    async with http.get("/v1/models") as got:
        text = await got.text()
    assert got.status == 500
    assert "secret" not in text
    assert "ValueError" not in text
    assert json.loads(text)["error"]["type"] == "server_error"
    assert any(record.exc_info for record in caplog.records)
