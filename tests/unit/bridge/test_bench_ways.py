"""The ways of `bench queue`: what counts, what was asked for, and what the workers say they have computed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.bench import batch, reference, ways
from bridge.bench.batch import Passed
from bridge.bench.house import House, Login, Own, Running
from bridge.bench.ways import Plan
from schemas.articles import Article
from schemas.completion import PromptTokensDetails, Usage
from schemas.errors import BadRequest, EngineFailed, Unavailable
from schemas.figures import WorkerFigures
from tests.unit.bridge.test_bench_queue import RENDERED, Say, analysis

ARTICLES = [Article(title=title, body="b", id=title) for title in "ABC"]


class Site:
    """A house in which nobody is: what is asked of it is answered by the test."""

    fresh = True

    def __init__(self, **worker: str) -> None:
        self.worker = worker
        self.used: list[Site] = []

    async def use(self, job: Any) -> Any:
        self.used.append(self)

        class Empty(House):
            @contextlib.asynccontextmanager
            async def client(self, user: str) -> AsyncIterator[Any]:
                yield None

        return await job(Empty(lambda user: Login("", None, None)))

    def having(self, **worker: str) -> Site:
        other = Site(**worker)
        other.used = self.used
        return other


def plan(site: Any, tokens: list[int], *, guided: bool = True) -> Plan:
    return Plan(ARTICLES, RENDERED, tokens, 2, guided, None, site, Say())


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The first article is computed, the second dies, the third's answer was kept. Gives the ids of each run.

    Between two looks the worker computes 3 tokens of prompts and 1 new one, whatever the analyses say.
    """
    runs: list[list[str]] = []

    async def run(nc: Any, some: list[Article], say: Any) -> Passed:
        runs.append([str(one.id) for one in some])
        return Passed(30, [analysis(4), None, analysis(4, cached=True)])

    async def workers(nc: Any) -> list[Any]:
        return [SimpleNamespace(worker="w")]

    async def of(nc: Any, names: set[str]) -> dict[str, WorkerFigures]:
        return {"w": WorkerFigures(prompt_tokens=100 + 3 * len(runs), decode_tokens=10 + len(runs))}

    monkeypatch.setattr(batch, "run", run)
    monkeypatch.setattr(ways.presence, "workers", workers)
    monkeypatch.setattr(ways.figures, "of", of)
    return runs


async def test_our_rate_counts_what_the_others_are_given(house: list[list[str]]) -> None:
    done, first, _ = await ways.articles(plan(Site(), []), again=False)
    assert done == ways.Pass(30, 1, 9, 5, 4)
    assert done.articles == len(plan(Site(), first.tokens).counted)


async def test_the_same_again_is_told_by_the_workers_and_not_by_the_analyses(house: list[list[str]]) -> None:
    _, _, second = await ways.articles(plan(Site(), []), again=True)
    assert second == ways.Again(30, 4)
    assert house == [["A", "B", "C"], ["A-again", "B-again", "C-again"]]


async def test_a_worker_that_does_not_say_is_no_zero(
    house: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(nc: Any, names: set[str]) -> dict[str, WorkerFigures]:
        return {}

    monkeypatch.setattr(ways.figures, "of", nobody)
    with pytest.raises(Unavailable, match="w does not say"):
        await ways.articles(plan(Site(), []), again=True)


async def test_a_house_that_computes_nothing_has_no_rate(
    house: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kept(nc: Any, some: list[Article], say: Any) -> Passed:
        return Passed(1, [analysis(4, cached=True)] * 3)

    monkeypatch.setattr(batch, "run", kept)
    with pytest.raises(EngineFailed, match="No article was computed"):
        await ways.articles(plan(Site(), []), again=False)


async def test_unshared_is_ours_in_a_house_that_keeps_no_states(
    house: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site()
    await ways.unshared(plan(site, []))
    assert [one.worker for one in site.used] == [{"NATS_MLX_WORKER_PREFIX_BYTES": "0"}]
    talked: list[Any] = []

    async def chats(free: Plan) -> ways.Pass:
        talked.append(free.site)
        return ways.Pass(1, 3, 27, 0, 12)

    monkeypatch.setattr(ways, "chats", chats)
    await ways.unshared(plan(site, [4, 4, 4], guided=False))
    assert [one.worker for one in talked] == [{"NATS_MLX_WORKER_PREFIX_BYTES": "0"}]
    assert len(house) == 1


def test_a_house_with_other_settings_keeps_its_model() -> None:
    other = Own("some/model", Say(), A="1", B="1").having(B="2")
    assert isinstance(other, Own)
    assert other._worker == {"NATS_MLX_WORKER_MODEL": "some/model", "A": "1", "B": "2"}


def test_a_house_that_runs_has_no_other_settings() -> None:
    with pytest.raises(BadRequest, match="--nats-url"):
        Running(lambda user: Login("", None, None)).having(B="2")


@pytest.mark.parametrize(("made", "raises"), [(7, False), (6, True)])
async def test_a_way_that_makes_other_tokens_than_it_was_told_is_no_baseline(
    monkeypatch: pytest.MonkeyPatch, made: int, raises: bool
) -> None:
    class Server:
        async def ask_all(self, bodies: list[Any], at_once: int) -> list[Usage]:
            assert [body["max_tokens"] for body in bodies] == [4, 3]
            return [Usage(9, 4, 13), Usage(9, made - 4, 5 + made)]

    @contextlib.asynccontextmanager
    async def server(folder: str) -> AsyncIterator[Server]:
        yield Server()

    monkeypatch.setattr(ways, "reference", server)
    with pytest.raises(EngineFailed, match=r"6 new tokens .* 7") if raises else contextlib.nullcontext():
        done = await ways.server(plan(Site(), [4, 0, 3]), 2)
        assert (done.articles, done.work) == (2, (18, 7))


async def test_what_mlx_lm_says_of_its_cache_is_read() -> None:
    """As its server answers: the details are there where it has found something."""

    class Response:
        status = 200

        async def read(self) -> bytes:
            return (
                b'{"usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,'
                b' "prompt_tokens_details": {"cached_tokens": 5}}}'
            )

    class Session:
        @contextlib.asynccontextmanager
        async def post(self, path: str, data: bytes) -> AsyncIterator[Response]:
            yield Response()

    server: Any = reference.Reference(Session())
    [usage] = await server.ask_all([{}], 1)
    assert usage == Usage(9, 4, 13, PromptTokensDetails(5))
