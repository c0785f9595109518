"""What must never be in a log at INFO: a key, a password, the text of an article or of a chat."""

from __future__ import annotations

import json

import aiohttp

from bridge.credentials import USERS
from tests.e2e.conftest import House

SECRET, KEY = "Zanzibar", "nmx_a-key-that-nobody-asked-for"
ARTICLES = [
    {"id": "quiet-good", "title": f"{SECRET} news", "body": f"Bitcoin rose 5 percent in {SECRET} today."},
    {"id": "quiet-long", "title": f"{SECRET} news", "body": f"Bitcoin rose in {SECRET} today. " * 3000},
]


async def test_a_run_tells_its_logs_no_secret(house: House) -> None:
    lines = "".join(json.dumps(article) + "\n" for article in ARTICLES)
    done = await house.run("publish", "-", "--wait", stdin=lines)
    assert "1 analysed, 1 dead" in done.stdout + done.stderr
    async with aiohttp.ClientSession(house.bridge_url) as http:
        await _chats(http)
    logs = {file.name: file.read_text() for file in (house.data_dir / "logs").iterdir()}
    for process, known in (("worker", "quiet-good"), ("bridge", "/v1/chat/completions")):
        # Those of yesterday too: it may be midnight.
        assert any(known in text for name, text in logs.items() if name.startswith(f"{process}.log"))
    for name, text in logs.items():
        for secret in (SECRET, KEY, *map(house.password, USERS)):
            assert secret not in text, f"{name} shows {secret}"


async def _chats(http: aiohttp.ClientSession) -> None:
    """One that is answered, one in a stream, and some that are refused, each in its own way."""
    url, header = "/v1/chat/completions", {"Authorization": f"Bearer {KEY}"}
    body = {"messages": [{"role": "user", "content": f"Say {SECRET}."}], "max_tokens": 4}
    refused = [{"n": 99}, {"stop": [SECRET] * 9}, {"messages": f"{SECRET}!"}, {"max_tokens": 10**6}]
    for more, status in [({}, 200), ({"stream": True}, 200), *((one, 400) for one in refused)]:
        async with http.post(url, json=body | more, headers=header) as got:
            await got.read()
            assert got.status == status
