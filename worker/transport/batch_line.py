"""One line of a batch: a request that nobody waits for, done as articles are."""

from __future__ import annotations

import uuid
from dataclasses import replace

from nats.aio.msg import Msg

from schemas import subjects
from schemas.errors import BadRequest
from schemas.runtime.spans import Span
from worker.alike import Recent
from worker.engine.engine import Engine
from worker.jobs import Done, Failed, Job, Prepared, Request
from worker.transport import line, suspects
from worker.transport.api import APIS, CHAT, Api
from worker.transport.handler import Handler
from worker.transport.outcomes import Outcomes
from worker.transport.presence import PresenceBoard
from worker.transport.replies import begun
from worker.transport.runs import Runs
from worker.transport.style import Style


class LineHandler(Handler):
    """Turns lines into results. `runs` are the lines' own: a chat that joined one would wait as long as it does."""

    kind = "line"

    def __init__(self, engine: Engine, runs: Runs, outcomes: Outcomes, board: PresenceBoard) -> None:
        super().__init__(outcomes)
        self._engine = engine
        self._runs = runs
        self._outcomes = outcomes
        self._board = board
        self._recent = Recent()

    def _name(self, msg: Msg) -> str:
        """Of the batch, and its number."""
        return msg.subject.partition(".")[2]

    async def _do(self, msg: Msg, span: Span) -> None:
        if await self._outcomes.has(msg):
            self._log.info("line", id=self._name(msg), outcome="exists")
            return
        api = _api(msg)
        request = api.decode(msg.data)
        if request.stream:
            raise BadRequest("A line of a batch cannot be streamed.", param="stream", code="invalid_value")
        await self._board.check(request.model)
        works = [await self._prepare(part) for part in request.parts]
        request_id = uuid.uuid4().hex
        head, style = begun(api, request_id, works)
        company = suspects.company(msg)
        jobs = [Job(f"{msg.reply}-{at}", "norm", work, company) for at, work in enumerate(works)]
        done = await self._run(jobs, style)
        await self._outcomes.answer(msg, request_id, style.whole(head, done.usage))
        line.tell(
            self._log,
            "line",
            span,
            done.usage,
            done.durations,
            id=self._name(msg),
            model=head.model,
            outcome=done.finish,
            attempts=suspects.deliveries(msg),
        )

    async def _prepare(self, request: Request) -> Prepared:
        """Lines that come one after another are mostly of one batch, and begin alike."""
        work = await self._engine.prepare(request, queued=True)
        return replace(work, head=self._recent.head(work.model, work.prompt))

    async def _run(self, jobs: list[Job], style: Style) -> Done:
        async with self._runs.run_all(jobs) as run:
            while True:
                match await run.next():
                    case Failed(error):
                        raise error
                    case Done() as done:
                        return done
                    case None:
                        pass
                    case event:
                        style.add(event)


def _api(msg: Msg) -> Api:
    name = (msg.headers or {}).get(subjects.API, CHAT.name)
    if name not in APIS:
        raise BadRequest(f"There is no API `{name}` here.", param=subjects.API, code="invalid_header")
    return APIS[name]
