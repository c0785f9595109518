"""What every message of queued work goes through, whatever the work is: done, tried again later, or ended with why."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from schemas import streams
from schemas.errors import EngineFailed, LlmError
from schemas.runtime import log as logs
from schemas.runtime import spans
from schemas.runtime.spans import Span
from worker.transport import line, suspects
from worker.transport.ends import Ends, Original, passes

_AGAIN = 1.0


class Handler(ABC):
    """Every message is settled, given back, or dead when handle() returns. `kind` is what the log calls one."""

    kind: ClassVar[str]

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._log = logs.get(f"worker.{self.kind}")

    @abstractmethod
    async def _do(self, msg: Msg, span: Span) -> None:
        """Do it and store its end. Raises LlmError, or NatsError."""

    def _name(self, msg: Msg) -> str:
        """What the log calls it."""
        return msg.subject.rpartition(".")[2]

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
                    self._log.warning(f"{self.kind}_left", subject=msg.subject, error=str(error))
                    return
                # To leave it would cost a delivery each time, and a server can be away for longer than eight.
                self._log.warning(f"{self.kind}_waits", subject=msg.subject, error=str(error))
            await asyncio.sleep(_AGAIN)

    async def _handle(self, msg: Msg, span: Span) -> None:
        try:
            await self._do(msg, span)
        except LlmError as error:
            await self._fail(msg, span, error)
        except NatsError:
            raise
        except Exception:
            self._log.exception(f"{self.kind}_failed", subject=msg.subject)
            failure = EngineFailed(f"The worker failed on this {self.kind}; its log says why.")
            await self._fail(msg, span, failure)
        else:
            await self._ends.settle(msg)

    async def _fail(self, msg: Msg, span: Span, error: LlmError) -> None:
        attempts = suspects.deliveries(msg)
        told = {"id": self._name(msg), "attempts": suspects.attempts(msg)}
        line.failed(self._log, self.kind, span, suspects.age(msg), error, **told)
        for_good = error.status < 500 and error.status != 429
        if for_good or attempts >= streams.MAX_DELIVER:
            await self._ends.bury(Original.of(msg), error)
            await self._ends.settle(msg)
            return
        delay = streams.retry_delay(attempts)
        self._log.warning(
            f"{self.kind}_retry", subject=msg.subject, attempts=attempts, delay=delay, error=error.message
        )
        await msg.nak(delay=delay)
