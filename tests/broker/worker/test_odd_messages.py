"""Messages that no client library writes: each is read, none ends the reading or passes for the server's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg

from bridge.credentials import User
from schemas import streams, subjects
from schemas.errors import BadRequest
from schemas.runtime.connection import connect
from tests.broker.cli.conftest import Server
from tests.until import seen
from worker.transport import topology
from worker.transport.ends import Original
from worker.transport.ledger import Ledger
from worker.transport.micro import Endpoint, Service
from worker.transport.mover import Mover
from worker.transport.outcomes import Outcomes

INBOX = b"_INBOX.publisher.a"


async def say(server: Server, *frames: bytes, user: User = "publisher") -> bytes:
    """Bytes on a bare connection, until the server has read them all."""
    host, port = server.url.removeprefix("nats://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    login = {"user": user, "pass": server.credentials.password(user), "headers": True, "verbose": False}
    writer.write(b"CONNECT %b\r\n%bPING\r\n" % (json.dumps(login).encode(), b"".join(frames)))
    said = await asyncio.wait_for(reader.readuntil(b"PONG\r\n"), 5)
    writer.close()
    return said


def pub(subject: bytes, reply: bytes = b"", body: bytes = b"{}") -> bytes:
    return b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(body), body)


def hpub(subject: bytes, reply: bytes, head: bytes, body: bytes = b"{}") -> bytes:
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject, reply, len(head), len(head) + len(body), head, body)


@dataclass
class House:
    server: Server
    nc: Client
    heard: asyncio.Queue[Msg] = field(default_factory=asyncio.Queue)

    async def hear(self) -> Msg:
        return await asyncio.wait_for(self.heard.get(), 5)


@pytest_asyncio.fixture
async def house(server: Server) -> AsyncIterator[House]:
    """A worker's connection, with the streams."""
    nc = await connect(server.url, "worker", server.credentials.password("worker"), name="t", wait=True)
    await topology.ensure(nc.jetstream())
    house = House(server, nc)

    async def take(message: Msg) -> None:
        house.heard.put_nowait(message)

    for subject in ("llm.v1.chat", "llm.v1.chat.*", "llm.v1.cancel.*"):
        await nc.subscribe(subject, cb=take)
    await _flush(nc)
    yield house
    await nc.close()


@pytest.mark.parametrize(
    "frame",
    [
        pub(b"llm.v1.chat", b"_INBOX.publisher.\xff"),
        pub(b"llm.v1.cancel.\xff"),
        pub(b"llm.v1.chat", b"_INBOX.publisher.a\x0bb"),
        pub(b"llm.v1.chat", b"_INBOX.publisher.a\x0cb"),
        hpub(b"llm.v1.chat", b"_INBOX.publisher.a\x0cb", b"NATS/1.0\r\na: b\r\n\r\n"),
        pub(b"llm.v1.chat", b"_INBOX.publisher.a\x00b"),
        pub(b"llm.v1.chat", b"_INBOX.publisher." + b"a" * 4000),
        hpub(b"llm.v1.chat", INBOX, b"NATS/1.0 \xff\xff\xff\r\n\r\n"),
        hpub(b"llm.v1.chat", INBOX, b"NATS/1.0 503 \xff\xff\r\n\r\n"),
        hpub(b"llm.v1.chat", INBOX, b"NATS/1.0 503\r\n\r\n"),
        hpub(b"llm.v1.chat", INBOX, b"NATS/1.0\r\nStatus: 503\r\n\r\n"),
        hpub(b"llm.v1.chat", INBOX, b"NATS/1.0"),
        hpub(b"llm.v1.chat", INBOX, b"x"),
        hpub(b"llm.v1.chat", INBOX, b""),
        hpub(b"llm.v1.chat", INBOX, b"\xff" * 40),
        hpub(b"llm.v1.chat", INBOX, b"NATS/1.0\r\nno colon\r\n\xe9: x\r\n\r\n"),
    ],
    ids=lambda frame: repr(frame[:60]),
)
async def test_each_is_heard_and_so_is_the_next(house: House, frame: bytes) -> None:
    await say(house.server, frame)
    odd = await house.hear()
    assert "Status" not in (odd.headers or {})
    await say(house.server, pub(b"llm.v1.chat", INBOX, b"next"))
    assert (await house.hear()).data == b"next"


ARTICLE = b'{"title": "t", "body": "b"}'


@pytest.mark.parametrize("token", [b"\xff", b"a\x0bb", b"a\x0cb", b"a\x00b", b"*", b"a" * 65, b"a" * 3000])
async def test_an_article_under_no_token_dies_with_the_reason(house: House, token: bytes) -> None:
    """Never delivered in vain eight times: it would take the others of its batch along each time."""
    await say(house.server, pub(b"articles.norm.coin." + token, body=ARTICLE))
    message = await _next(house.nc)
    with pytest.raises(BadRequest) as caught:
        subjects.parse_article(message.subject)
    assert caught.value.code == "invalid_subject"
    await Ledger(house.nc.jetstream(), "w").bury(Original.of(message), caught.value)
    await message.ack_sync()
    letter = await _letter(house)
    assert letter.data == ARTICLE
    assert subjects.is_token((letter.subject or "").split(".")[3])


@pytest.mark.parametrize(
    "head",
    [b"NATS/1.0 408 x\r\n\r\n", b"NATS/1.0\r\nStatus: 409\r\n\r\n", b"NATS/1.0 \xff\r\n\r\n", b"NATS/1.0"],
)
async def test_an_articles_headers_are_no_word_of_the_server(house: House, head: bytes) -> None:
    await say(house.server, hpub(b"articles.norm.coin.a", b"", head, ARTICLE))
    message = await _next(house.nc)
    assert (message.subject, message.data) == ("articles.norm.coin.a", ARTICLE)
    assert not set(message.headers or {}) & {"Status", "Description"}


async def test_the_mover_moves_what_has_no_token(house: House) -> None:
    js = house.nc.jetstream()
    await say(house.server, pub(b"articles.norm.coin.a\x0b\xffb", body=ARTICLE))
    event = {"stream": "ARTICLES", "stream_seq": 1, "deliveries": 8}
    await say(
        house.server,
        pub(b"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ARTICLES.x", body=json.dumps(event).encode()),
        user="operator",
    )
    mover = Mover(js, {"ARTICLES": Ledger(js, "w"), "BATCH_LINES": Outcomes(js)})
    await mover.start()
    await seen(lambda: js.stream_info(streams.DEAD.name), lambda info: info.state.messages > 0)
    await mover.stop()
    letter = await _letter(house)
    assert letter.data == ARTICLE


async def _letter(house: House) -> RawStreamMsg:
    """The last one, which only an operator may look up without its name."""
    nc = await house.server.connect("operator")
    letter = await nc.jetstream().get_last_msg(streams.DEAD.name, "dead.ARTICLES.coin.*")
    await nc.close()
    return letter


async def _flush(nc: Client) -> None:
    await asyncio.sleep(0)  # else the ping may go before the subscription
    await nc.flush()


async def _next(nc: Client) -> Msg:
    pull = await nc.jetstream().pull_subscribe_bind(consumer="articles-norm", stream=streams.ARTICLES.name)
    [message] = await pull.fetch(1, timeout=5)
    return message


@pytest.mark.parametrize(
    "reply",
    [
        b"$KV.llm_recipes.coin",
        b"analyses.coin.a",
        b"dead.ARTICLES.coin.a",
        b"_INBOX.publisher.>",
        b"_INBOX.publisher.*",
        b"_INBOX.publisher..a",
        b"_INBOX.publisher." + b"a" * 4000,
        b"_INBOX.publisher.\xff",
        b"_INBOX",
    ],
    ids=lambda reply: repr(reply[:30]),
)
async def test_only_inboxes_are_answered(house: House, reply: bytes) -> None:
    """The worker may write where a caller may not, and for a wrong subject the server ends its connection."""
    asked: list[Msg] = []

    async def answer(message: Msg) -> str | None:
        asked.append(message)
        await house.nc.publish(message.reply, b"answer")
        return None

    service = Service(house.nc, "t", "1.0.0", "t", {}, [Endpoint("chat", subjects.CHAT, answer, {})])
    await service.start()
    await _flush(house.nc)
    await say(house.server, pub(b"llm.v1.chat", reply), pub(b"llm.v1.chat", INBOX))
    await house.hear()
    await house.hear()
    await service.stop(1)
    assert [message.reply for message in asked] == [INBOX.decode()]
    assert house.nc.is_connected
