"""One article's way from its message to its end, and what each failure means for it."""

from __future__ import annotations

import asyncio
import datetime as dt
import time

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from schemas import streams, subjects
from schemas.articles import (
    Analysis,
    Article,
    ArticleRef,
    Timings,
    decode_article,
    wants_replacement,
)
from schemas.errors import BadRequest, EngineFailed, LlmError, NotFound, Unavailable
from schemas.runtime import log as logs
from schemas.runtime import spans
from schemas.runtime.spans import Span
from worker.engine.engine import Engine
from worker.jobs import Job, JobLane, Prepared
from worker.recipes import Recipe
from worker.transport import line, suspects
from worker.transport.answers import Answer, Answers
from worker.transport.ledger import Ledger, passes
from worker.transport.presence import PresenceBoard
from worker.transport.recipes import Recipes

log = logs.get("worker.article")

_AGAIN = 1.0


class Analyst:
    """Turns article messages into analyses; every message is settled, given back, or dead when it returns."""

    def __init__(
        self,
        engine: Engine,
        recipes: Recipes,
        answers: Answers,
        ledger: Ledger,
        board: PresenceBoard,
        worker: str,
    ) -> None:
        self._engine = engine
        self._recipes = recipes
        self._answers = answers
        self._ledger = ledger
        self._board = board
        self._worker = worker

    async def handle(self, msg: Msg) -> None:
        """Raises nothing but cancellation: then the message is given back by whoever cancelled."""
        span = spans.of(msg.headers or {})
        if span.caller is None:
            # It is given a trace: what becomes of it shall have it, too.
            msg.headers = {**(msg.headers or {}), **span.here.headers}
        with logs.bound(trace_id=span.here.trace_id):
            await self._see_through(msg, span)

    async def _see_through(self, msg: Msg, span: Span) -> None:
        while True:
            try:
                await self._handle(msg, span)
                return
            except NatsError as error:
                if not passes(error):
                    # Nothing was settled, so the server delivers it again after the ack wait.
                    log.warning("article_left", subject=msg.subject, error=str(error))
                    return
                # To leave it would cost a delivery each time, and a server can be away for longer than eight.
                log.warning("article_waits", subject=msg.subject, error=str(error))
            await asyncio.sleep(_AGAIN)

    async def _handle(self, msg: Msg, span: Span) -> None:
        try:
            await self._analyse(msg, span)
        except LlmError as error:
            await self._fail(msg, span, error)
        except NatsError:
            raise
        except Exception:
            log.exception("article_failed", subject=msg.subject)
            failure = EngineFailed("The worker failed on this article; its log says why.")
            await self._fail(msg, span, failure)
        else:
            await self._ledger.settle(msg)

    async def _fail(self, msg: Msg, span: Span, error: LlmError) -> None:
        attempts = suspects.deliveries(msg)
        token = msg.subject.rpartition(".")[2]
        line.failed(log, "article", span, _age(msg), error, id=token, attempts=suspects.attempts(msg))
        for_good = error.status < 500 and error.status != 429
        if for_good or attempts >= streams.MAX_DELIVER:
            await self._ledger.dead(msg, error.message, error.code or "failed")
            await self._ledger.settle(msg)
            return
        delay = streams.retry_delay(attempts)
        log.warning("article_retry", subject=msg.subject, attempts=attempts, delay=delay, error=error.message)
        await msg.nak(delay=delay)

    async def _analyse(self, msg: Msg, span: Span) -> None:
        address = subjects.parse_article(msg.subject)
        replace = wants_replacement(msg.headers)
        if not replace and await self._ledger.has_analysis(address.recipe, address.token):
            log.info("article", id=address.token, recipe=address.recipe, outcome="exists")
            return
        article = decode_article(msg.data)
        name = _article_id(article, address.token)
        loaded = await self._recipes.get(address.recipe)
        recipe = loaded.recipe
        await self._check_model(recipe)
        work = await self._engine.prepare(recipe.request(article), await self._recipes.head(loaded))
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

    async def _check_model(self, recipe: Recipe) -> None:
        if recipe.model is None or self._board.serves(recipe.model):
            return
        if await self._board.anyone_serves(recipe.model):
            raise Unavailable(f"Another worker serves the recipe's model `{recipe.model}`.")
        try:
            self._engine.catalog.find(recipe.model)  # faulty: the engine says why, and the article waits
        except NotFound:
            sentence = f"No worker serves the recipe's model `{recipe.model}`."
            raise NotFound(sentence, code="model_not_found") from None

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
        queued = max(0.0, _age(msg) - spent.prefill - spent.decode)
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


def _age(msg: Msg) -> float:
    """Seconds since it was published."""
    return time.time() - msg.metadata.timestamp.timestamp()


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
