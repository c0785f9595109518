"""Browsers: pages of others neither read nor ask, pages of ours carry nothing that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bridge import keys
from bridge.keys import KeyFile, Scope
from bridge.settings import Settings
from schemas.errors import BadSettings

if TYPE_CHECKING:
    from conftest import Script, Start

URL = "/v1/chat/completions"
OURS, OTHERS = "https://app.example", "https://evil.example"
ASK = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, x-stainless-os",
}
HTML = {"Accept": "text/html"}


async def test_no_page_may_read_unless_it_is_listed(http: aiohttp.ClientSession, script: Script) -> None:
    async with http.options(URL, headers=ASK | {"Origin": OURS}) as got:
        assert got.status == 403
    for path in ("/v1/models", "/healthz", "/nope"):
        async with http.get(path, headers={"Origin": "http://localhost:3000"}) as got:
            assert not [name for name in got.headers if name.startswith("Access-Control")]


async def test_a_listed_origin_asks_first_and_then_reads_all_answers(start: Start, tmp_path: Path) -> None:
    http = await start(cors_origins=[OURS], host="0.0.0.0")
    async with http.options(URL, headers=ASK | {"Origin": OURS}) as got:
        assert (got.status, got.headers["Access-Control-Allow-Origin"]) == (204, OURS)
        assert got.headers["Access-Control-Allow-Headers"] == ASK["Access-Control-Request-Headers"]
        assert "POST" in got.headers["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in got.headers
    async with http.options(URL, headers=ASK | {"Origin": OTHERS}) as got:
        assert (got.status, "Access-Control-Allow-Origin" in got.headers) == (403, False)
    async with http.get("/v1/models", headers={"Origin": OURS}) as got:
        assert (got.status, got.headers["Access-Control-Allow-Origin"]) == (401, OURS)
        assert "x-request-id" in got.headers["Access-Control-Expose-Headers"]
    async with http.get("/v1/models", headers={"Origin": OTHERS}) as got:
        assert ("Access-Control-Allow-Origin" in got.headers, got.headers["Vary"]) == (False, "Origin")


@pytest.mark.parametrize(
    "origin", ["*", "https://a.example/", "a.example", "https://a, https://b", "null", ""]
)
def test_what_is_no_origin_stops_the_start(origin: str) -> None:
    with pytest.raises(BadSettings, match="CORS_ORIGINS"):
        Settings.load(cors_origins=[origin])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": OTHERS}, 403),
        ({"Origin": "null"}, 403),  # what a frame in a sandbox shows
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
        ({"Host": "evil.example:8787"}, 403),  # a name that points here for a while
        ({"Host": "evil.example.", "Origin": "http://evil.example."}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 200),
        ({"Origin": "http://[::1]:3000"}, 200),
        ({"Origin": "http://93.184.216.34"}, 403),  # a page of the web without a name
        ({"Origin": "https://[2606:4700::1111]:8443"}, 403),
        ({"Origin": "http://[::ffff:93.184.216.34]"}, 403),
        ({"Origin": "http://192.168.1.5:3000"}, 200),
        ({"Origin": "http://100.101.102.103:3000"}, 200),  # of a VPN
        ({"Host": "93.184.216.34"}, 200),  # how this machine was asked, which no page can choose
        ({"Origin": "vscode-webview://1abc"}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8787"}, 200),
        ({"Host": "host.docker.internal:8787"}, 200),
        ({"Host": "nas"}, 200),
    ],
)
async def test_without_keys_pages_of_the_web_may_not_even_ask(
    http: aiohttp.ClientSession, script: Script, headers: dict[str, str], status: int
) -> None:
    for path in ("/", "/v1/models"):
        async with http.get(path, headers=headers) as got:
            assert got.status == status


async def test_with_a_key_it_does_not_matter_who_asks_from_where(
    start: Start, script: Script, tmp_path: Path
) -> None:
    token, key = keys.make("nas", [Scope.CHAT])
    KeyFile(tmp_path / "keys.json").add(key)
    http = await start()
    headers = {"Authorization": f"Bearer {token}", "Host": "llm.example", "Origin": OTHERS}
    async with http.get("/v1/models", headers=headers) as got:
        assert got.status == 200


async def test_a_page_stands_in_no_frame_and_loads_nothing_of_others(http: aiohttp.ClientSession) -> None:
    async with http.get("/", headers=HTML) as got:
        policy = got.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert (got.headers["X-Frame-Options"], got.headers["Referrer-Policy"]) == ("DENY", "no-referrer")


FILES = ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js")


async def test_the_docs_run_scripts_of_this_bridge_alone(http: aiohttp.ClientSession) -> None:
    """What they do in a browser is tried in tests/e2e."""
    async with http.get("/docs") as got:
        page, policy = await got.text(), got.headers["Content-Security-Policy"]
        assert (got.content_type, got.headers["X-Frame-Options"]) == ("text/html", "DENY")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (rules.pop("img-src"), rules.pop("frame-ancestors")) == ("'self' data:", "'none'")
    assert set(rules.values()) <= {"'none'", "'self'"}
    assert "http" not in page
    assert "<script>" not in page
    for path in FILES:
        async with http.get(path) as got:
            assert got.status == 200
            assert got.content_type == ("text/css" if path.endswith("css") else "text/javascript")
    for path in ("/docs/LICENSE", "/docs/..%2f..%2f__init__.py", "/docs/index.html"):
        async with http.get(path) as got:
            assert (got.status, got.content_type) == (404, "application/json")


async def test_the_docs_need_no_key_and_what_they_tell_of_does(start: Start) -> None:
    http = await start(host="0.0.0.0")
    for path in ("/docs", "/openapi.json", *FILES):
        async with http.get(path) as got:
            assert got.status == 200
    async with http.post(URL, json={}) as got:
        assert got.status == 401
