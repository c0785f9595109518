"""The headers of a chat request: a deadline is a moment, and an id that is none is refused, not repeated."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas.errors import BadRequest
from worker.engine.catalog import Catalog, Entry
from worker.engine.engine import Engine
from worker.settings import Settings
from worker.transport.api import CHAT
from worker.transport.inference import Inference, _seconds_left
from worker.transport.runs import Runs


class Connection:
    """Keeps what is published."""

    max_payload = 1024 * 1024

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, dict[str, str]]] = []
        self._count = 0

    def new_inbox(self) -> str:
        self._count += 1
        return f"_INBOX.x.job{self._count}"

    async def publish(self, _: str, payload: bytes, reply: str, headers: dict[str, str]) -> None:
        self.sent.append((payload, headers))


class Idle:
    catalog = Catalog([Entry("small", (), Path("small"))])


def ask(headers: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The answer to an empty request with these headers: its error, and what came with it."""
    nc = Connection()
    engine = cast(Engine, Idle())
    inference = Inference(cast(Client, nc), engine, Runs(engine, None), Settings.load())
    asyncio.run(_answer(inference, headers))
    [(payload, told)] = nc.sent
    return json.loads(payload)["error"], told


async def _answer(inference: Inference, headers: dict[str, str]) -> None:
    await inference._answer(CHAT, Msg(cast(Client, None), "llm.v1.chat", "_INBOX.p.a", b"", headers))


@pytest.mark.parametrize(
    "bad", ["a.b", "a b", "*", "x" * 65, "é", "가" * 5, "x" * 1_100_000, "\ufffd", "a\tb"]
)
def test_a_request_id_that_is_none_is_refused_and_not_repeated(bad: str) -> None:
    error, told = ask({"Llm-Request-Id": bad})
    assert (error["code"], error["param"]) == ("invalid_header", "Llm-Request-Id")
    assert told["Llm-Request-Id"].startswith("job")
    assert told["Nats-Service-Error-Code"] == "400"


def test_a_request_id_that_is_one_is_repeated() -> None:
    error, told = ask({"Llm-Request-Id": "r1"})
    assert (error["code"], told["Llm-Request-Id"]) == ("invalid_json", "r1")


@pytest.mark.parametrize(
    "bad",
    ["", "1700000000", "1e9", "-1", "now", "2099-01-01", "2099-01-01T00:00:00", "12:00:00Z", "unreadable"]
    + ["2099-01-01T00:00:00+99:00", "2099-13-01T00:00:00Z", "9" * 5000],
)
def test_a_deadline_is_a_moment_as_rfc_3339_has_it(bad: str) -> None:
    error, _ = ask({"Llm-Deadline": bad})
    assert (error["code"], error["param"]) == ("invalid_header", "Llm-Deadline")


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
@example(dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-14))))
@example(dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=14))))
def test_any_moment_is_a_deadline(moment: dt.datetime) -> None:
    try:
        assert isinstance(_seconds_left({"Llm-Deadline": moment.isoformat()}), float)
    except BadRequest:
        assert moment.year in (1, 9999)  # in another zone it may be a year that there is not


@given(st.text(max_size=40))
def test_any_text_is_a_deadline_or_refused(text: str) -> None:
    try:
        assert isinstance(_seconds_left({"Llm-Deadline": text}), float)
    except BadRequest as error:
        assert error.code == "invalid_header"
