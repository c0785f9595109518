"""The micro service protocol (ADR-32) with handlers that run side by side and statistics of the whole answer.

nats-py's own service runs a subscription's handlers one after another, and measures how long dispatching
takes; its message types are used here, its dispatch is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.micro.service import (
    EndpointInfo,
    EndpointStats,
    ServiceInfo,
    ServicePing,
    ServiceStats,
    ServiceVerb,
    control_subject,
)

from schemas import subjects
from schemas.codec import encode
from schemas.runtime import log as logs

log = logs.get("worker.service")

# Answers one request; returns the sentence of the error it answered with, if any.
Handler = Callable[[Msg], Awaitable[str | None]]
QUEUE_GROUP = "llm"


@dataclass
class Endpoint:
    """One subject of the service, with what it has done so far."""

    name: str
    subject: str
    handler: Handler
    metadata: dict[str, str]
    requests: int = 0
    errors: int = 0
    nanoseconds: int = 0
    last_error: str = ""
    subscription: Subscription | None = field(default=None, repr=False)

    def stats(self) -> EndpointStats:
        return EndpointStats(
            name=self.name,
            subject=self.subject,
            queue_group=QUEUE_GROUP,
            num_requests=self.requests,
            num_errors=self.errors,
            processing_time=self.nanoseconds,
            average_processing_time=self.nanoseconds // max(1, self.requests),
            last_error=self.last_error,
        )

    def info(self) -> EndpointInfo:
        return EndpointInfo(self.name, self.subject, QUEUE_GROUP, self.metadata)


class Service:
    """A service by its name; `nats micro ls, info, stats, ping` see it."""

    def __init__(
        self,
        nc: Client,
        name: str,
        version: str,
        description: str,
        metadata: dict[str, str],
        endpoints: list[Endpoint],
        figures: Callable[[], object] = lambda: None,
    ) -> None:
        """`figures` is what the statistics say besides; the protocol has a place for it at an endpoint, so the first
        one carries it.
        """
        self._nc = nc
        self._endpoints = endpoints
        self._figures = figures
        self._identity = {"id": nc.new_inbox().rpartition(".")[2], "name": name, "version": version}
        self._description = description
        self._metadata = metadata
        self._started = datetime.now(UTC)
        self._tasks: set[asyncio.Task[None]] = set()
        self._control: list[Subscription] = []

    async def start(self) -> None:
        answers = {ServiceVerb.PING: self._ping, ServiceVerb.INFO: self._info, ServiceVerb.STATS: self._stats}
        for verb, answer in answers.items():
            for name, id in ((None, None), (self._name, None), (self._name, self._identity["id"])):
                callback = self._responder(answer)
                self._control.append(await self._nc.subscribe(control_subject(verb, name, id), cb=callback))
        for endpoint in self._endpoints:
            callback = self._dispatcher(endpoint)
            endpoint.subscription = await self._nc.subscribe(endpoint.subject, QUEUE_GROUP, cb=callback)

    async def close_endpoints(self) -> None:
        """Take no more requests; those in work go on, and those that are on their way to us already."""
        leaving = [endpoint.subscription for endpoint in self._endpoints if endpoint.subscription is not None]
        for endpoint in self._endpoints:
            endpoint.subscription = None
        await asyncio.gather(*map(self._drain, leaving), return_exceptions=True)

    async def _drain(self, subscription: Subscription) -> None:
        """unsubscribe() would drop what the server has sent meanwhile, and its caller would wait in vain. So
        would drain() alone: nats-py writes its PING before the UNSUB, and what comes after the PONG is lost.
        """
        await self._nc._send_unsubscribe(subscription._id)
        await asyncio.sleep(0)  # now it is written
        await subscription.drain()  # type: ignore[no-untyped-call]

    async def stop(self, grace: float) -> None:
        """Wait up to `grace` seconds for requests in work, then cancel them, and leave the control subjects."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for subscription in self._control:
            await subscription.unsubscribe()

    @property
    def _name(self) -> str:
        return self._identity["name"]

    def _dispatcher(self, endpoint: Endpoint) -> Callable[[Msg], Awaitable[None]]:
        async def dispatch(msg: Msg) -> None:
            task = asyncio.create_task(self._serve(endpoint, msg))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return dispatch

    async def _serve(self, endpoint: Endpoint, msg: Msg) -> None:
        # Our own rights are behind what we answer: it goes to an inbox, whatever the request wants.
        if not subjects.is_inbox(msg.reply):
            log.warning("request_without_inbox", subject=msg.subject)
            return
        started = time.perf_counter_ns()
        error: str | None = "The answer could not be sent."
        try:
            error = await endpoint.handler(msg)
        except Exception:
            log.exception("answer_not_sent", subject=msg.subject)
        endpoint.requests += 1
        endpoint.nanoseconds += time.perf_counter_ns() - started
        if error is not None:
            endpoint.errors += 1
            endpoint.last_error = error

    def _responder(self, answer: Callable[[], dict[str, object]]) -> Callable[[Msg], Awaitable[None]]:
        async def respond(msg: Msg) -> None:
            # msg.respond() would send the request's headers back.
            if subjects.is_inbox(msg.reply):
                await self._nc.publish(msg.reply, encode(answer()))

        return respond

    def _ping(self) -> dict[str, object]:
        return ServicePing(**self._identity, metadata=self._metadata).to_dict()

    def _info(self) -> dict[str, object]:
        endpoints = [endpoint.info() for endpoint in self._endpoints]
        info = ServiceInfo(
            **self._identity, description=self._description, endpoints=endpoints, metadata=self._metadata
        )
        return info.to_dict()

    def _stats(self) -> dict[str, object]:
        endpoints = [endpoint.stats() for endpoint in self._endpoints]
        endpoints[0].data = self._figures()
        stats = ServiceStats(
            **self._identity, started=self._started, endpoints=endpoints, metadata=self._metadata
        )
        return stats.to_dict()
