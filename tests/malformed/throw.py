"""Throws malformed things over each way in, and notes what came back: a status, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import aiohttp
from nats.aio.subscription import Subscription

from bridge.credentials import User
from bridge.settings import Settings
from schemas import subjects
from schemas.runtime.client import Client
from schemas.runtime.connection import connect
from tests.malformed import wrong
from tests.malformed.good import RECIPE
from tests.malformed.house import House

# A worker with a model on two shared cores has other things to do at times.
PATIENCE = 60.0
_SERVERS_WORD = 2.0
_MAX_BODY = Settings.model_fields["max_body"].default
_TOGETHER = 16
# The recipe of articles that come over HTTP: the same may come twice and end once, and is not counted.
_OVER_HTTP = "web"


@dataclass
class Tally:
    """`bad` are those that must not be: what was sent, and what came of it."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def note(self, way: str, outcome: int | str, sent: bytes) -> None:
        self.counts[f"{way} {outcome}"] += 1
        if outcome in ("hang", "no answer") or (isinstance(outcome, int) and outcome >= 500):
            self.bad.append(f"{way} {outcome}: {sent[:2000]!r}")


class Thrower:
    """One run. What is thrown depends on the seed alone; who answers first does not."""

    def __init__(self, house: House, seed: int) -> None:
        self.tally = Tally()
        self._house = house
        self._random = Random(seed)

    async def run(self, requests: int) -> Tally:
        async with aiohttp.ClientSession(self._house.url) as self._http:
            self._publisher = await self._connect("publisher")
            self._operator = await self._connect("operator")
            await self._describe()
            await self._recipe()
            work = (self._one(number, Random(self._random.random())) for number in range(requests))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_TOGETHER):
                    tasks.create_task(self._take(work))
            await self._articles_end()
            await self._publisher.close()
            await self._operator.close()
        return self.tally

    async def _connect(self, user: User) -> Client:
        address = f"nats://127.0.0.1:{self._house.port}"
        return await connect(address, user, self._house.password(user), name="thrower", wait=True)

    async def _recipe(self) -> None:
        bucket = await self._operator.jetstream().key_value("llm_recipes")
        for name in ("mini", _OVER_HTTP):
            await bucket.put(name, json.dumps(RECIPE).encode())

    async def _take(self, work: Iterator[Coroutine[None, None, None]]) -> None:
        for attempt in work:
            await attempt

    async def _one(self, number: int, random: Random) -> None:
        way = random.choices(
            [self._post, self._raw_http, self._get, self._chat, self._article], [35, 5, 5, 35, 20]
        )
        started = time.monotonic()
        await way[0](number, random)
        self.tally.slowest = max(self.tally.slowest, time.monotonic() - started)

    async def _describe(self) -> None:
        """Each way in that the bridge has now or will have is thrown at."""
        async with self._http.get("/openapi.json") as got:
            paths = (await got.json())["paths"]
        # A feed has no end.
        self._paths = [path for path in paths if not path.endswith("/stream")]
        self._posts = [path for path, acts in paths.items() if "post" in acts]
        assert {wrong.CHAT_PATH, "/v1/responses", "/articles"} <= set(self._posts)

    async def _post(self, number: int, random: Random) -> None:
        """Chats as often as all others together."""
        path = random.choice([wrong.CHAT_PATH] * len(self._posts) + self._posts)
        body, query = wrong.body(random, path), f"?recipe={_OVER_HTTP}" if path == "/articles" else ""
        await self._asked("POST", wrong.filled(random, path) + query, body, wrong.http_headers(random))

    async def _get(self, number: int, random: Random) -> None:
        method = random.choice(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "X"])
        await self._asked(
            method, wrong.path(random, self._paths), wrong.request(random)[:100], wrong.http_headers(random)
        )

    async def _asked(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        outcome: int | str
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._http.request(
                    method,
                    path,
                    data=_data(body),
                    headers=headers,
                    skip_auto_headers=["Expect", "Content-Type"],
                ) as got,
            ):
                text = await got.read()
                outcome = got.status
                if got.status == 200 and b'data: {"error"' in text:
                    outcome = 599
        except TimeoutError:
            outcome = "hang"
        except aiohttp.ClientResponseError as error:
            outcome = error.status  # aiohttp's own 400 to a HEAD has a body, which its own client minds
        except aiohttp.ClientError as error:
            # A body far over the limit is not read to its end, and who still writes may miss the 413.
            outcome = type(error).__name__ if len(body) > _MAX_BODY else "no answer"
        self.tally.note(f"{method} http", outcome, f"{method} {path} {headers} ".encode() + body)

    async def _raw_http(self, number: int, random: Random) -> None:
        sent = wrong.http_bytes(random, wrong.request(random))
        place = urlsplit(self._house.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        outcome: int | str = "closed"
        try:
            writer.write(sent)
            line = await _line(reader, writer)
            if line.startswith(b"HTTP/"):
                outcome = int(line.split()[1])
        except TimeoutError:
            outcome = "hang"
        except ConnectionError:
            outcome = "reset"
        finally:
            writer.close()
        self.tally.note("raw http", outcome, sent)

    async def _chat(self, number: int, random: Random) -> None:
        subject, path = random.choice(
            [(subjects.CHAT, wrong.CHAT_PATH)] * 3 + [(subjects.COMPLETIONS, "/v1/completions")]
        )
        subject = random.choice([subject] * 3 + [subjects.of_model(subject, "starter")])
        body = wrong.body(random, path)
        inbox = await self._inbox()
        outcome: int | str = "refused by the server"
        try:
            async with asyncio.timeout(PATIENCE):
                if await self._send(subject.encode(), inbox.subject.encode(), wrong.nats_head(random), body):
                    outcome = await _end_of(inbox)
        except TimeoutError:
            outcome = "hang"
        await inbox.unsubscribe()
        self.tally.note("nats chat", outcome, body)

    async def _article(self, number: int, random: Random) -> None:
        """Whether the queue takes it is the server's affair, which says nothing of headers that are none; each that
        it takes has to end.
        """
        lane, recipe = (
            random.choice([b"norm", b"high"]),
            random.choice([b"mini"] * 8 + [b"none", b"x" * 65, b"\xff"]),
        )
        subject = b"articles.%b.%b.%b" % (lane, recipe, wrong.token(random, number))
        inbox = await self._inbox()
        head, body = wrong.nats_head(random), wrong.article(random)
        outcome = "refused by the server"
        try:
            if await self._send(subject, inbox.subject.encode(), head, body):
                message = await inbox.next_msg(timeout=_SERVERS_WORD)
                outcome = _taken(message.data)
        except TimeoutError:
            outcome = "without a word of the server"
        await inbox.unsubscribe()
        self.tally.note("article", outcome, subject + b" " + (head or b""))

    async def _inbox(self) -> Subscription:
        """Known to the server when it is returned: another connection will ask."""
        inbox = await self._publisher.subscribe(self._publisher.new_inbox())
        await asyncio.sleep(0)  # else the ping may go before the subscription
        await self._publisher.flush()
        return inbox

    async def _send(self, subject: bytes, reply: bytes, head: bytes | None, body: bytes) -> bool:
        """As bytes: a client library would not let all of this pass. Whether the server did (it has limits)."""
        if head is None:
            frame = b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(body), body)
        else:
            sizes = b"%d %d" % (len(head), len(head) + len(body))
            frame = b"HPUB %b %b %b\r\n%b%b\r\n" % (subject, reply, sizes, head, body)
        login = {
            "user": "publisher",
            "pass": self._house.password("publisher"),
            "headers": True,
            "verbose": False,
        }
        reader, writer = await asyncio.open_connection("127.0.0.1", self._house.port)
        writer.write(b"CONNECT %b\r\n%bPING\r\n" % (json.dumps(login).encode(), frame))
        try:
            async with asyncio.timeout(PATIENCE):
                await reader.readuntil(b"PONG\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()
        return True

    async def _articles_end(self) -> None:
        """All that the queue took are analysed or dead, at their first delivery."""
        js = self._operator.jetstream()
        try:
            async with asyncio.timeout(PATIENCE):
                while left := (await js.stream_info("ARTICLES")).state.messages:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            self.tally.bad.append(f"{left} articles never ended")
        ends = [await self._count("ANALYSES", "analyses"), await self._count("DEAD", "dead.ARTICLES")]
        self.tally.counts |= dict(zip(("ended analysed", "ended dead"), ends, strict=True))
        if sum(ends) != (taken := self.tally.counts["article stored"]):
            self.tally.bad.append(f"{taken} articles were stored, and {sum(ends)} ended")

    async def _count(self, stream: str, place: str) -> int:
        state = (await self._operator.jetstream().stream_info(stream, subjects_filter=f"{place}.>")).state
        return sum(not one.startswith(f"{place}.{_OVER_HTTP}.") for one in state.subjects or {})


def _taken(answer: bytes) -> str:
    """What JetStream says of a publication."""
    if b'"seq"' not in answer:
        return "refused"
    return "known already" if b'"duplicate"' in answer else "stored"


async def _line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first one of the answer. A request that has no end is waited for by a server; so we end it then."""
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(reader.readline(), _SERVERS_WORD)
    writer.write_eof()
    return await asyncio.wait_for(reader.readline(), PATIENCE)


async def _end_of(inbox: Subscription) -> int:
    """The status of an answer; of a streamed one that of its end."""
    while True:
        message = await inbox.next_msg(timeout=PATIENCE)
        headers = message.headers or {}
        if status := headers.get(subjects.ERROR_CODE) or headers.get("Status"):
            return int(status)
        if not message.data or subjects.SEQ not in headers:
            return 200


def _data(body: bytes) -> bytes | io.BytesIO:
    """aiohttp's client complains of a megabyte in one piece."""
    return io.BytesIO(body) if len(body) > 2**20 else body
