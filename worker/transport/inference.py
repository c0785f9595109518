"""Inference over request/reply: decode, prepare, run, answer; and stop at once when nobody wants the answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from schemas import subjects
from schemas.articles import Moment
from schemas.errors import (
    BadRequest,
    Cancelled,
    DeadlineExceeded,
    EngineFailed,
    LlmError,
    Overloaded,
    Unavailable,
)
from schemas.runtime import log as logs
from schemas.runtime import spans
from schemas.runtime.spans import Span
from worker.engine.engine import Engine
from worker.engine.run import Run
from worker.jobs import Done, Failed, Job, Request
from worker.settings import Settings
from worker.transport import line
from worker.transport.abandon import Abandonment
from worker.transport.api import CHAT, COMPLETIONS, Api
from worker.transport.micro import Endpoint, Handler
from worker.transport.replies import Caller, PlainReply, Reply, StreamReply, new_id
from worker.transport.runs import Runs
from worker.transport.served import per_model

log = logs.get("worker.inference")


class _Options(msgspec.Struct):
    include_usage: bool | None = None


class _Shape(msgspec.Struct):
    """Just enough of a request to know what shape its answer has, an error too."""

    stream: bool | None = None
    stream_options: _Options | None = None


@dataclass(slots=True)
class _Exchange:
    """One request and where its answer goes. `run` is there while its answer is made.

    `model` is the one that the subject names, `ended` why somebody ended it from outside, be it before it ran.
    `prompts` are as many as it has so far been found to have.
    """

    api: Api
    msg: Msg
    request_id: str
    job_id: str
    model: str | None
    span: Span
    prompts: int = 1
    started: float = field(default_factory=time.monotonic)
    run: Run | None = None
    ended: LlmError | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return self.msg.headers or {}

    def end(self, error: LlmError) -> None:
        """Have its run dropped and the caller told why."""
        self.ended = error
        if self.run is not None:
            self.run.fail(error)


class Inference:
    """Answers on the subject of each API, and below it on one for each name and alias of each model."""

    def __init__(self, nc: Client, engine: Engine, runs: Runs, settings: Settings) -> None:
        self._nc = nc
        self._engine = engine
        self._runs = runs
        self._settings = settings
        self._most = settings.slots + settings.chat_slots + settings.max_waiting
        self._abandonment = Abandonment(nc, settings.abandon_grace)
        self._exchanges: dict[str, _Exchange] = {}
        self._cancels: Subscription | None = None

    async def start(self) -> None:
        await self._abandonment.start()
        self._cancels = await self._nc.subscribe(subjects.CANCEL_ALL, cb=self._on_cancel)

    async def stop(self) -> None:
        await self._abandonment.stop()
        if self._cancels is not None:
            await self._cancels.unsubscribe()

    def abort(self) -> None:
        """End all that still runs; each caller is told."""
        for exchange in self._exchanges.values():
            exchange.end(Unavailable("The worker is shutting down; send the request again."))

    def endpoints(self) -> list[Endpoint]:
        """Of each API one for any model and one for each name of ours; their metadata carries the schemas."""
        return [endpoint for api in (CHAT, COMPLETIONS) for endpoint in self._endpoints(api)]

    def _endpoints(self, api: Api) -> list[Endpoint]:
        def answers(model: str | None) -> Handler:
            return functools.partial(self._answer, api, model=model)

        return per_model(self._engine.catalog, api.name, api.subject, answers, api.metadata)

    async def _on_cancel(self, msg: Msg) -> None:
        request_id = msg.subject.rpartition(".")[2]
        # Its request may have come in the same read: the task that takes it up is then due just before us.
        await asyncio.sleep(0)
        caller = (msg.headers or {}).get(subjects.CALLER)
        for exchange in self._exchanges.values():
            if exchange.request_id == request_id and caller in (None, exchange.headers.get(subjects.CALLER)):
                exchange.end(Cancelled("The request was cancelled."))

    async def _answer(self, api: Api, msg: Msg, model: str | None = None) -> str | None:
        """Serve one request whatever happens; returns the error's sentence for the statistics."""
        job_id = new_id(self._nc)
        named = (msg.headers or {}).get(subjects.REQUEST_ID) or job_id
        # One that is refused is not repeated either: it may be as long as a message.
        request_id = named if subjects.is_request_id(named) else job_id
        exchange = _Exchange(api, msg, request_id, job_id, model, spans.of(msg.headers or {}))
        self._exchanges[job_id] = exchange
        try:
            with logs.bound(request_id=request_id, trace_id=exchange.span.here.trace_id):
                return await self._serve(exchange)
        finally:
            del self._exchanges[job_id]
            self._abandonment.forget(job_id)

    async def _serve(self, exchange: _Exchange) -> str | None:
        error: LlmError
        reply = self._reply(exchange)
        try:
            async with asyncio.timeout(_seconds_left(exchange.headers)):
                await self._run(exchange, reply)
            return None
        except TimeoutError:
            error = DeadlineExceeded("The deadline passed before the answer was complete.")
        except LlmError as known:
            error = known
        except Exception:
            log.exception("inference_failed")
            error = EngineFailed("The worker failed on this request; its log says why.")
        total = time.monotonic() - exchange.started
        line.failed(log, exchange.api.name, exchange.span, total, error, model=exchange.model)
        await reply.fail(error)
        return error.message

    async def _run(self, exchange: _Exchange, reply: Reply) -> None:
        if (exchange.headers.get(subjects.REQUEST_ID) or exchange.request_id) != exchange.request_id:
            reason = f"{subjects.REQUEST_ID} must be 1 to 64 characters of ASCII, none of them blank or . * >"
            raise BadRequest(f"{reason}.", param=subjects.REQUEST_ID, code="invalid_header")
        request = self._addressed(exchange.api.decode(exchange.msg.data), exchange.model)
        parts = request.parts
        exchange.prompts = len(parts)
        # All that are here count, not what the engine has: requests on their way there would pass in a crowd.
        if sum(one.prompts for one in self._exchanges.values()) > self._most:
            reason = "Too many requests wait already; try again in a few seconds."
            raise Overloaded(reason, retry_after=self._engine.retry_after())
        works = [await self._engine.prepare(part) for part in parts]
        if exchange.ended is not None:
            raise exchange.ended
        jobs = [Job(f"{exchange.job_id}-{at}", "chat", work) for at, work in enumerate(works)]
        async with self._runs.run_all(jobs) as run:
            exchange.run = run
            await reply.open(works)
            done = await self._relay(run, reply)
        line.tell(
            log,
            exchange.api.name,
            exchange.span,
            done.usage,
            done.durations,
            model=works[0].model,
            outcome=done.finish,
        )

    async def _relay(self, run: Run, reply: Reply) -> Done:
        opened = time.monotonic()
        while True:
            match await run.next(_patience(time.monotonic() - opened, self._settings.keep_alive)):
                case None:
                    await reply.keep_alive()
                case Failed(error):
                    raise error
                case Done() as done:
                    await reply.done(done)
                    return done
                case event:
                    await reply.add(event)

    def _addressed(self, request: Request, model: str | None) -> Request:
        """With the subject's model, where there is one. Raises NotFound, or BadRequest for another of ours."""
        if model is None:
            return request
        if request.model is None:
            return msgspec.structs.replace(request, model=model)
        if self._engine.catalog.find(request.model).name != model:
            reason = f"The request names the model `{request.model}`, and came on the subject of `{model}`."
            raise BadRequest(reason, param="model", code="model_mismatch")
        return request

    def _reply(self, exchange: _Exchange) -> Reply:
        shape = _shape(exchange.msg.data)
        caller = Caller(self._nc, exchange.msg.reply, exchange.request_id)
        if not shape.stream:
            return PlainReply(caller, exchange.api)
        gone = Cancelled("The caller's inbox is gone.")
        watch = self._abandonment.watch(exchange.job_id, lambda: exchange.end(gone))
        usage = shape.stream_options is not None and bool(shape.stream_options.include_usage)
        return StreamReply(caller, exchange.api, watch, usage)


def _patience(seconds: float, most: float) -> float:
    """Until a silent stream has to show that it lives, `seconds` after its beginning. The `nats` CLI waits for a
    further reply as long as the earlier ones took on average, and 300 ms.
    """
    return min(most, 0.2 + seconds / 4)


def _shape(payload: bytes) -> _Shape:
    try:
        return msgspec.json.decode(payload, type=_Shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Shape()  # the strict decoding to come says what is wrong with it


def _seconds_left(headers: Mapping[str, str]) -> float | None:
    """Until the caller's deadline; None without one. Raises BadRequest when it is not RFC 3339."""
    text = headers.get(subjects.DEADLINE)
    if text is None:
        return None
    try:
        deadline = msgspec.convert(text, Moment)
    except msgspec.ValidationError:
        reason = f"{subjects.DEADLINE} must be a time as RFC 3339 has it, with its zone."
        raise BadRequest(reason, param=subjects.DEADLINE, code="invalid_header") from None
    return (deadline - dt.datetime.now(dt.UTC)).total_seconds()
