"""`bench queue`: articles per minute, publish to last analysis, beside the same prompts by other ways."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bridge.bench import texts, ways
from bridge.bench.figures import Figure, Goal, Series, at_least, at_most, ratio, rotated
from bridge.bench.helper import helper
from bridge.bench.house import Site
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.bench.ways import Again, Pass, Plan
from schemas.articles import Article
from schemas.errors import BadRequest
from schemas.runtime.bench import Render, Rendered

# What has to be reached; (b) and (c) with free text on both sides.
GOALS = {
    "a": at_least(1.3), "a+prefix": at_least(0.95), "b": at_least(1.5), "c": at_least(1.0), "batch": at_most(1.03),
}  # fmt: skip
_GUIDED = ("a", "a+prefix", "batch")


class Wanted(NamedTuple):
    """`free` new tokens for each, as free text; None: guided answers, and for each baseline as many tokens."""

    articles: list[Article]
    baselines: list[str]
    repeats: int = 3
    free: int | None = None
    again: bool = False
    rows: int | None = None
    model: str | None = None


async def measure(wanted: Wanted, site: Site, say: Say) -> Report:
    """Raises BadRequest for a baseline that nobody knows, or that this site cannot have."""
    if unknown := set(wanted.baselines) - set(ways.BASELINES):
        raise BadRequest(f"There is no baseline {', '.join(sorted(unknown))}: {', '.join(ways.BASELINES)}.")
    if "unshared" in wanted.baselines:
        site.having()
    rounds = _Rounds(wanted, site, say)
    for turn in range(wanted.repeats):
        await rounds.round(turn)
    return rounds.report()


class _Rounds:
    """Repeats of all ways, each time another one first."""

    def __init__(self, wanted: Wanted, site: Site, say: Say) -> None:
        self._wanted = wanted
        self._site = site
        self._say = say
        self._ours = "house" if wanted.free is None else "chats"
        self._rounds: list[dict[str, Pass]] = []
        self._again: list[Again] = []
        self._tokens: list[int] = []
        self._left_out = 0
        self._rendered: Rendered | None = None
        # A house that has seen these texts before would answer from memory.
        self._mark = "" if site.fresh else secrets.token_hex(2)

    async def round(self, turn: int) -> None:
        mark = f"{self._mark}-{turn}" if self._mark else ""
        plan = await self._plan(mark)
        passes = {}
        # In the first round ours goes first: it says how many tokens the others have to make.
        for way in rotated([self._ours, *self._wanted.baselines], turn):
            say = f"round {turn + 1} of {self._wanted.repeats}: {self._words(way)}"
            self._say.line(f"{say} ...")
            done = await self._run(way, plan)
            plan = plan._replace(tokens=self._tokens)
            passes[way] = done
            self._say.line(f"{say}: {done.rate:.2f} articles/min, {_tokens([done])}")
        self._rounds.append(passes)

    async def _plan(self, mark: str) -> Plan:
        wanted = self._wanted
        some = texts.marked(wanted.articles, mark) if mark else wanted.articles
        some = texts.named(some, f"bench{mark}")
        if self._rendered is None or mark:
            async with helper(wanted.model) as ours:
                self._rendered = await ours.ask(Render(some), Rendered)
        if wanted.free is not None:
            self._tokens = [wanted.free] * len(some)
        rows = wanted.rows or self._rendered.slots
        guided = wanted.free is None
        return Plan(some, self._rendered, self._tokens, rows, guided, wanted.model, self._site, self._say)

    async def _run(self, way: str, plan: Plan) -> Pass:
        if way != "house":
            return await ways.BASELINE[way](plan)
        done, first, second = await ways.articles(plan, self._wanted.again)
        self._tokens = first.tokens
        self._left_out += first.tokens.count(0)
        if second is not None:
            self._again.append(second)
        return done

    def report(self) -> Report:
        wanted = self._wanted
        names = [self._ours, *wanted.baselines]
        series = [Series(self._words(way), "articles/min", self._rates(way)) for way in names]
        figures = [
            ratio(f"ours ÷ {way}", self._rates(self._ours), self._rates(way), self._goal(way))
            for way in wanted.baselines
        ]
        settings = {
            "articles": len(wanted.articles),
            "repeats": wanted.repeats,
            "free": wanted.free,
            "rows": wanted.rows or (self._rendered.slots if self._rendered else None),
        }
        return Report("queue", settings, series, figures + self._second(), self._notes(names))

    def _second(self) -> list[Figure]:
        """The same articles under new ids."""
        if not self._again:
            return []
        seconds = [one.seconds for one in self._again]
        tokens = [float(one.tokens) for one in self._again]
        return [
            Figure("the same again under new ids: seconds", max(seconds), seconds, at_most(5)),
            Figure("the same again under new ids: model tokens", max(tokens), tokens, at_most(0)),
        ]

    def _goal(self, way: str) -> Goal | None:
        """Against a server the goals hold for free text on both sides."""
        fair = (way in _GUIDED) == (self._wanted.free is None)
        return GOALS.get(way) if fair else None

    def _rates(self, way: str) -> list[float]:
        return [passes[way].rate for passes in self._rounds]

    def _words(self, way: str) -> str:
        rows = self._wanted.rows or (self._rendered.slots if self._rendered else 0)
        return ways.WORDS[way].format(rows=rows)

    def _notes(self, names: Sequence[str]) -> list[str]:
        notes = [f"{self._words(way)}: {_tokens([one[way] for one in self._rounds])}" for way in names]
        notes += self._uneven()
        if self._left_out:
            notes.append(f"{self._left_out} articles died or were known from before, and count on no side")
        if self._wanted.free is None:
            notes.append(
                "ours is guided by the recipe's schema; the others write free text of the same length"
            )
        else:
            notes.append(
                "free text on all sides; the end tokens are biased away, so that all are equally long"
            )
        return notes

    def _uneven(self) -> Iterator[str]:
        """What is guided ends where it ends: in another batch, a close choice may turn out otherwise."""
        for turn, passes in enumerate(self._rounds, 1):
            ours = passes[self._ours]
            for way, one in passes.items():
                if one.work != ours.work:
                    both = f"{_tokens([one])}; ours: {_tokens([ours])}"
                    yield f"NOT THE SAME WORK in round {turn}, {self._words(way)}: {both}"


def _tokens(passes: Sequence[Pass]) -> str:
    """Of all rounds alike, or of each in turn."""
    prompt = _each([one.prompt_tokens for one in passes])
    cached = _each([one.cached for one in passes])
    return f"{prompt} prompt tokens, {cached} of them known, {_each([one.new_tokens for one in passes])} new"


def _each(values: Sequence[int]) -> str:
    return " / ".join(map(str, values if len(set(values)) > 1 else values[:1]))
