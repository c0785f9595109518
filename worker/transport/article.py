"""One article's way from its message to its end, and what each failure means for it."""

from __future__ import annotations

import datetime as dt

from nats.aio.msg import Msg

from schemas import subjects
from schemas.articles import (
    Analysis,
    Article,
    ArticleRef,
    Timings,
    decode_article,
    wants_replacement,
)
from schemas.errors import BadRequest, EngineFailed
from schemas.runtime import log as logs
from schemas.runtime.spans import Span
from worker.engine.engine import Engine
from worker.jobs import Job, JobLane, Prepared
from worker.recipes import Recipe
from worker.transport import line, suspects
from worker.transport.answers import Answer, Answers
from worker.transport.ends import Original
from worker.transport.handler import Handler
from worker.transport.ledger import Ledger
from worker.transport.presence import PresenceBoard
from worker.transport.recipes import Recipes

log = logs.get("worker.article")


class Analyst(Handler):
    """Turns article messages into analyses."""

    kind = "article"

    def __init__(
        self,
        engine: Engine,
        recipes: Recipes,
        answers: Answers,
        ledger: Ledger,
        board: PresenceBoard,
        worker: str,
    ) -> None:
        super().__init__(ledger)
        self._engine = engine
        self._recipes = recipes
        self._answers = answers
        self._ledger = ledger
        self._board = board
        self._worker = worker

    async def _do(self, msg: Msg, span: Span) -> None:
        address = subjects.parse_article(msg.subject)
        replace = wants_replacement(msg.headers)
        if await self._ledger.answered(Original.of(msg)):
            log.info("article", id=address.token, recipe=address.recipe, outcome="exists")
            return
        article = decode_article(msg.data)
        name = _article_id(article, address.token)
        loaded = await self._recipes.get(address.recipe)
        recipe = loaded.recipe
        await self._board.check(recipe.model)
        head = await self._recipes.head(loaded)
        work = await self._engine.prepare(recipe.request(article), head, queued=True)
        answer = await self._answers.get(_job(msg, work, address.lane), recipe.result, fresh=replace)
        analysis = self._compose(msg, name, address.recipe, recipe, article, work.model, answer)
        await self._ledger.analysis(msg, address.token, analysis, replace=replace)
        line.tell(
            log,
            "article",
            span,
            answer.done.usage,
            analysis.timings,
            id=name,
            recipe=address.recipe,
            model=analysis.model,
            outcome=answer.done.finish,
            attempts=analysis.attempts,
            cached=answer.cached,
        )

    def _compose(
        self,
        msg: Msg,
        name: str,
        recipe_name: str,
        recipe: Recipe,
        article: Article,
        model: str,
        answer: Answer,
    ) -> Analysis:
        done = answer.done
        if done.finish == "length":
            raise BadRequest(
                f"The answer did not end within the recipe's {recipe.max_tokens} tokens.",
                code="answer_too_long",
            )
        try:
            result = recipe.result(answer.text)
        except ValueError as error:
            raise EngineFailed(f"The answer does not validate: {error}") from None
        now = dt.datetime.now(dt.UTC)
        spent = done.durations
        queued = max(0.0, suspects.age(msg) - spent.prefill - spent.decode)
        return Analysis(
            id=name,
            recipe=recipe_name,
            recipe_version=recipe.version,
            article=ArticleRef(article.title, article.url, article.source, article.published_at),
            model=model,
            result=result,
            usage=done.usage,
            timings=Timings(queued, spent.prefill, spent.decode, queued + spent.prefill + spent.decode),
            attempts=suspects.attempts(msg),
            worker=self._worker,
            finished_at=now,
            cached=answer.cached,
        )


def _job(msg: Msg, work: Prepared, lane: str) -> Job:
    job_lane: JobLane = "high" if lane == "high" else "norm"
    return Job(msg.reply, job_lane, work, suspects.company(msg))


def _article_id(article: Article, token: str) -> str:
    """The id in the payload must be the one in the subject, or two articles would share one analysis."""
    if article.id is None:
        return token
    if subjects.id_token(article.id) != token:
        reason = f"The article's id `{article.id}` is not the one in its subject, `{token}`."
        raise BadRequest(reason, param="id", code="id_mismatch")
    return article.id
