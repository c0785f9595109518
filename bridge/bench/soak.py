"""`bench soak`: articles and chats, over NATS and HTTP, for an hour: whether processes grow while they work."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import aiohttp

from bridge.bench import batch, processes, talk, texts
from bridge.bench.figures import Figure, Series, at_most
from bridge.bench.house import House, Site
from bridge.bench.processes import MB, NAMES
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.client import Client, figures
from schemas.articles import Article
from schemas.errors import EngineFailed, LlmError
from schemas.runtime import presence

_LOOK_EVERY = 5.0
_PAUSE = 1.0  # between two requests of one client
_BATCH = 12  # articles that are sent together
_TOKENS = 24
_ARTICLE_PATH = "/articles"
_PAGES = ("/v1/models", "/readyz", "/", "/analyses?limit=5", "/dead", "/openapi.json")


class Wanted(NamedTuple):
    """`minutes` in all, the first of which are the warm-up."""

    articles: list[Article]
    minutes: float = 60.0
    warm_up: float = 15.0


class Look(NamedTuple):
    """`at` is in seconds from the start; bytes and descriptors by process. Of the worker's, `kept` bytes are the cache
    of what prompts begin with.
    """

    at: float
    sizes: dict[str, float]
    descriptors: dict[str, int]
    kept: float


async def measure(wanted: Wanted, site: Site, say: Say) -> Report:
    looks, load = await site.use(lambda house: _house(house, wanted, say))
    return report(wanted, looks, load.done, load.failed)


async def _house(house: House, wanted: Wanted, say: Say) -> tuple[list[Look], _Load]:
    if house.bridge_url is None:
        raise EngineFailed("Only a house of its own can be soaked.")
    async with house.client("operator") as nc, talk.http(house.bridge_url) as session:
        load = _Load(nc, session, wanted.articles, say)
        working = [asyncio.create_task(load.go_on(kind)) for kind in load.kinds]
        try:
            looks = await _looks(nc, wanted.minutes * 60, load, say)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
    return looks, load


async def _looks(nc: Client, seconds: float, load: _Load, say: Say) -> list[Look]:
    found: list[Look] = []
    started = time.monotonic()
    while (at := time.monotonic() - started) < seconds:
        seen = await processes.look()
        open_ = {name: await processes.descriptors(one.pid) for name, one in seen.items()}
        found.append(Look(at, {name: one.size for name, one in seen.items()}, open_, await _kept(nc)))
        held = ", ".join(f"{name} {seen[name].size / MB:.0f} MB, {open_[name]} files" for name in NAMES)
        say.detail(f"{at / 60:.1f} of {seconds / 60:g} minutes: {load.done.total()} done; {held}")
        await asyncio.sleep(_LOOK_EVERY)
    return found


async def _kept(nc: Client) -> float:
    told = await figures.of(nc, [one.worker for one in await presence.workers(nc)])
    return float(sum(one.prefix_bytes for one in told.values()))


class _Load:
    """Clients of each kind, one request after another. What was done and what failed is counted by kind."""

    def __init__(self, nc: Client, session: aiohttp.ClientSession, some: Sequence[Article], say: Say) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[], Awaitable[int]]] = {
            "articles": self._articles,
            "articles over HTTP": self._articles_over_http,
            "chats": self._chat,
            "chats streamed": self._chat_streamed,
            "chats over HTTP": self._chat_over_http,
            "chats streamed over HTTP": self._chat_streamed_over_http,
            "chats left in the middle": self._chat_left,
            "pages": self._page,
        }
        self._nc = nc
        self._session = session
        self._articles_left = itertools.cycle(some)
        self._numbers = itertools.count(1)
        self._pages = itertools.cycle(_PAGES)
        self._say = say

    async def go_on(self, kind: str) -> None:
        """Until it is cancelled."""
        while True:
            try:
                self.done[kind] += await self.kinds[kind]()
            except (LlmError, aiohttp.ClientError) as error:
                self.failed[kind] += 1
                self._say.line(f"{kind}: {error}")
            await asyncio.sleep(_PAUSE)

    async def _articles(self) -> int:
        passed = await batch.run(self._nc, self._some(), self._say)
        if passed.dead:
            raise EngineFailed(f"{passed.dead} articles are dead.")
        return _BATCH

    async def _articles_over_http(self) -> int:
        """And asks for each until it is analysed."""
        some = self._some()
        await self._answer("POST", _ARTICLE_PATH, [_plain(one) for one in some])
        for one in some:
            while (state := await self._answer("GET", f"{_ARTICLE_PATH}/coin/{one.id}"))[
                "status"
            ] != "analysed":
                if state["status"] == "dead":
                    raise EngineFailed(f"An article is dead: {state['error']}")
                await asyncio.sleep(_PAUSE)
        return _BATCH

    def _some(self) -> list[Article]:
        number = next(self._numbers)
        some = [next(self._articles_left) for _ in range(_BATCH)]
        return texts.named(texts.marked(some, f"soak {number}"), f"soak-{number}")

    def _body(self, *, stream: bool) -> dict[str, Any]:
        body = talk.body(talk.question(next(self._numbers)), _TOKENS, [])
        return body if stream else {key: body[key] for key in body if not key.startswith("stream")}

    async def _chat(self) -> int:
        await talk.whole(self._nc, self._body(stream=False))
        return 1

    async def _chat_streamed(self) -> int:
        await talk.over_nats(self._nc, self._body(stream=True))
        return 1

    async def _chat_over_http(self) -> int:
        await self._answer("POST", "/v1/chat/completions", self._body(stream=False))
        return 1

    async def _chat_streamed_over_http(self) -> int:
        await talk.over_http(self._session, self._body(stream=True))
        return 1

    async def _chat_left(self) -> int:
        async with self._session.post("/v1/chat/completions", json=self._body(stream=True)) as response:
            await response.content.readline()
            response.close()
        return 1

    async def _page(self) -> int:
        async with self._session.get(next(self._pages)) as response:
            await response.read()
            if response.status >= 400:
                raise EngineFailed(f"{response.url.path} answers {response.status}.")
        return 1

    async def _answer(self, method: str, path: str, body: object = None) -> Any:
        async with self._session.request(method, path, json=body) as response:
            if response.status >= 400:
                raise EngineFailed(f"{path} answers {response.status}: {await response.text()}")
            return await response.json()


def _plain(article: Article) -> dict[str, Any]:
    return {"id": article.id, "title": article.title, "body": article.body}


def report(wanted: Wanted, looks: Sequence[Look], done: Counter[str], failed: Counter[str]) -> Report:
    """The first quarter after the warm-up beside the last."""
    begin, end = wanted.warm_up * 60, wanted.minutes * 60
    quarter = (end - begin) / 4
    early = [look for look in looks if begin <= look.at < begin + quarter]
    late = [look for look in looks if look.at >= end - quarter]
    if not early or not late:
        raise EngineFailed("It was too short: there is nothing to compare after the warm-up.")
    series, found = [], [Figure("requests that failed", failed.total(), [], at_most(0))]
    for part, looked in (("after the warm-up", early), ("at the end", late)):
        series.append(Series(f"worker's kept prompts, {part}", "MB", [look.kept / MB for look in looked]))
    for name in NAMES:
        sizes = [statistics.median(look.sizes[name] for look in part) for part in (early, late)]
        open_ = [statistics.median(look.descriptors[name] for look in part) for part in (early, late)]
        found.append(
            Figure(f"{name}'s memory, end ÷ after the warm-up", sizes[1] / sizes[0], [], at_most(1.02))
        )
        found.append(Figure(f"{name}'s descriptors, more at the end", open_[1] - open_[0], [], at_most(0)))
        for part, looked in (("after the warm-up", early), ("at the end", late)):
            series.append(Series(f"{name}, {part}", "MB", [look.sizes[name] / MB for look in looked]))
            series.append(
                Series(f"{name}, {part}", "files", [float(look.descriptors[name]) for look in looked])
            )
    notes = [", ".join(f"{count} {kind}" for kind, count in done.items())]
    settings = {"minutes": wanted.minutes, "warm_up": wanted.warm_up}
    return Report("soak", settings, series, found, notes)
