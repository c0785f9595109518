"""The rounds of `bench queue` with engines that only count: who is asked for what, in which order."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.bench import queue, ways
from bridge.bench.batch import Passed
from bridge.bench.queue import Wanted
from bridge.bench.ways import Again, Pass, Plan
from schemas.articles import Analysis, Article, ArticleRef, Timings
from schemas.completion import PromptTokensDetails, Usage
from schemas.errors import BadRequest
from schemas.runtime.bench import Rendered

ARTICLES = [Article(title=title, body="b") for title in "ABC"]
RENDERED = Rendered(
    "m",
    "/m",
    16,
    64,
    256,
    10,
    [2],
    5,
    [{"messages": [{"role": "user", "content": t}]} for t in "ABC"],
    [9, 9, 9],
)


def analysis(tokens: int, *, cached: bool = False) -> Analysis:
    return Analysis(
        id="1", recipe="coin", recipe_version="1", article=ArticleRef("A", None, None, None), model="m",
        result={}, usage=Usage(9, tokens, 9 + tokens, PromptTokensDetails(5)), timings=Timings(0, 0, 0, 0),
        attempts=1, worker="w", finished_at=dt.datetime.now(dt.UTC), cached=cached,
    )  # fmt: skip


class Say:
    def line(self, text: str) -> None: ...

    def detail(self, text: str) -> None: ...


class Site:
    def __init__(self, fresh: bool = True) -> None:
        self.fresh = fresh

    async def use(self, job: Any) -> Any:
        raise AssertionError("nothing starts a house here")

    def having(self, **worker: str) -> Site:
        raise AssertionError("nothing starts a house here")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Plan]]:
    """Each pass takes 30 s, ours 15 s; the second article dies, and the same again is known. What the OpenAI batch
    answers is a token longer.
    """
    calls: list[tuple[str, Plan]] = []

    @contextlib.asynccontextmanager
    async def helper(model: str | None) -> AsyncIterator[Any]:
        class Helper:
            async def ask(self, command: object, kind: object) -> Rendered:
                return RENDERED

        yield Helper()

    async def articles(plan: Plan, again: bool) -> tuple[Pass, Passed, Again | None]:
        calls.append(("house", plan))
        second = Again(0.5, 0) if again else None
        return Pass(15, 2, 18, 5, 11), Passed(15, [analysis(4), None, analysis(7)]), second

    def baseline(way: str) -> Any:
        async def run(plan: Plan) -> Pass:
            calls.append((way, plan))
            return Pass(30, 2, 18, 5 if plan.guided else len(calls), 12 if way == "batch" else 11)

        return run

    monkeypatch.setattr(queue, "helper", helper)
    monkeypatch.setattr(ways, "articles", articles)
    monkeypatch.setattr(ways, "BASELINE", {way: baseline(way) for way in ways.BASELINE})
    return calls


async def test_ours_goes_first_and_then_each_in_turn(asked: list[tuple[str, Plan]]) -> None:
    await queue.measure(Wanted(ARTICLES, ["a", "b"]), Site(), Say())
    assert [way for way, _ in asked] == ["house", "a", "b", "a", "b", "house", "b", "house", "a"]


async def test_the_others_make_as_many_tokens_as_ours(asked: list[tuple[str, Plan]]) -> None:
    await queue.measure(Wanted(ARTICLES, ["a"]), Site(), Say())
    plans = [plan for way, plan in asked if way == "a"]
    assert all(plan.tokens == [4, 0, 7] for plan in plans)
    assert plans[0].counted == [0, 2]  # nobody answers the one that died
    assert plans[0].body(2)["max_tokens"] == 7
    assert plans[0].body(2)["logit_bias"] == {"2": -100}


async def test_free_text_is_as_long_on_all_sides(asked: list[tuple[str, Plan]]) -> None:
    report = await queue.measure(Wanted(ARTICLES, ["c"], repeats=1, free=48), Site(), Say())
    assert [way for way, _ in asked] == ["chats", "c"]
    assert all(plan.tokens == [48] * 3 for _, plan in asked)
    assert report.figure("ours ÷ c").goal


async def test_a_report_has_ratio_goal_and_the_second_time(asked: list[tuple[str, Plan]]) -> None:
    report = await queue.measure(Wanted(ARTICLES, ["a", "c"], again=True), Site(), Say())
    assert report.figure("ours ÷ a").value == 2
    assert report.figure("ours ÷ a").met
    assert report.figure("ours ÷ c").goal is None  # guided against free text: no promise
    assert report.figure("the same again under new ids: seconds").value == 0.5
    assert report.figure("the same again under new ids: model tokens").met
    assert any("died" in note for note in report.notes)


async def test_tokens_are_told_for_each_round_in_which_they_differ(asked: list[tuple[str, Plan]]) -> None:
    report = await queue.measure(Wanted(ARTICLES, ["c"], repeats=2, free=48), Site(), Say())
    assert "nats-mlx, free text over NATS: 18 prompt tokens, 1 / 4 of them known, 11 new" in report.notes
    assert "(c) mlx_lm.server, 16 at once: 18 prompt tokens, 2 / 3 of them known, 11 new" in report.notes
    assert not any("NOT THE SAME WORK" in note for note in report.notes)


async def test_another_piece_of_work_is_told_loudly(asked: list[tuple[str, Plan]]) -> None:
    report = await queue.measure(Wanted(ARTICLES, ["a", "batch"], repeats=2), Site(), Say())
    loud = [note.partition(":")[0] for note in report.notes if "NOT THE SAME WORK" in note]
    words = ways.WORDS["batch"]
    assert loud == [f"NOT THE SAME WORK in round {turn}, {words}" for turn in (1, 2)]


async def test_a_house_that_remembers_gets_other_texts_each_round(asked: list[tuple[str, Plan]]) -> None:
    await queue.measure(Wanted(ARTICLES, ["a"], repeats=2), Site(fresh=False), Say())
    bodies = [{article.body for article in plan.articles} for _, plan in asked]
    assert bodies[0] == bodies[1] != bodies[2] == bodies[3]
    ids = [{article.id for article in plan.articles} for _, plan in asked]
    assert not ids[0] & ids[2]


async def test_an_unknown_baseline_is_refused(asked: list[tuple[str, Plan]]) -> None:
    with pytest.raises(BadRequest, match="a\\+prefix"):
        await queue.measure(Wanted(ARTICLES, ["z"]), Site(), Say())
    assert not asked
