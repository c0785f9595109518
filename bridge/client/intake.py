"""Articles that others hand in: each gets its answer, in order, and the first that finds no room ends it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Literal, NamedTuple

from nats.aio.client import Client

from bridge.client import articles, outcomes
from bridge.client.articles import Outgoing, Target
from bridge.client.gate import ClosedGate
from bridge.jsonl import Numbered
from schemas.errors import BadRequest, LlmError, Overloaded, TooLarge, Unavailable

_IN_FLIGHT = 32

Status = Literal["queued", "waiting already", "analysed already", "refused", "not sent"]


class Taken(NamedTuple):
    """What became of one line. `error` says why it was refused or not sent."""

    line: int
    status: Status
    id: str | None = None
    error: LlmError | None = None


async def take(nc: Client, lines: AsyncIterable[Numbered], target: Target) -> AsyncGenerator[Taken]:
    """What the reading of `lines` raises comes after all that was read before."""
    gate = ClosedGate()
    under_way: deque[asyncio.Task[Taken]] = deque()
    fault: LlmError | None = None
    try:
        try:
            async for line in lines:
                under_way.append(asyncio.create_task(_one(nc, line, target, gate)))
                if len(under_way) == _IN_FLIGHT:
                    yield (taken := await under_way.popleft())
                    if taken.status == "not sent":
                        break
        except LlmError as error:
            fault = error
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
    if fault is not None:
        raise fault


async def _one(nc: Client, line: Numbered, target: Target, gate: ClosedGate) -> Taken:
    try:
        article = articles.prepare(line.text, target)
    except (BadRequest, TooLarge) as error:
        return Taken(line.number, "refused", None, error)
    try:
        return Taken(line.number, await _send(nc, article, gate), article.id)
    except TooLarge as error:
        return Taken(line.number, "refused", article.id, error)
    except (Overloaded, Unavailable) as error:
        return Taken(line.number, "not sent", article.id, error)


async def _send(nc: Client, article: Outgoing, gate: ClosedGate) -> Status:
    if not article.replace:
        # A worker would find it too, and send nothing twice; the caller is told now.
        found = await outcomes.analysis(nc, article.recipe, article.token, gate.reconnect)
        if found is not None:
            return "analysed already"
    sequence = await articles.publish(nc, article, gate)
    return "waiting already" if sequence is None else "queued"
