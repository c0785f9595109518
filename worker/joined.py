"""Several runs as one, for a request of several prompts: choices are counted through, and the end is that of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import accumulate

from schemas.completion import CompletionTokensDetails, PromptTokensDetails, Usage
from worker.engine.run import Run
from worker.jobs import Done, Durations, Failed


@asynccontextmanager
async def joined(runs: Sequence[Run]) -> AsyncIterator[Run]:
    """The events of all runs. The first failure is everybody's: after it there is nothing more to read."""
    if len(runs) == 1:
        yield runs[0]
        return
    together = Run(runs[0].job)
    task = asyncio.create_task(_drive(runs, together))
    try:
        yield together
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _drive(runs: Sequence[Run], together: Run) -> None:
    firsts = accumulate((run.job.work.choices for run in runs[:-1]), initial=0)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_pass_on(run, first, together)) for run, first in zip(runs, firsts, strict=True)
        ]
    done = [end for task in tasks if (end := task.result()) is not None]
    if len(done) == len(runs):
        together.events.put_nowait(Done(done[0].finish, _usage(done), _durations(done)))


async def _pass_on(run: Run, first: int, together: Run) -> Done | None:
    """All but the end of a run, which is returned; None of one that failed."""
    while True:
        match await run.next():
            case Done() as done:
                return done
            case Failed() as failed:
                together.events.put_nowait(failed)
                return None
            case None:
                pass
            case event:
                together.events.put_nowait(replace(event, choice=first + event.choice))


def _usage(found: Sequence[Done]) -> Usage:
    usages = [done.usage for done in found]
    return Usage(
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.completion_tokens for usage in usages),
        sum(usage.total_tokens for usage in usages),
        PromptTokensDetails(sum(usage.prompt_tokens_details.cached_tokens for usage in usages)),
        CompletionTokensDetails(sum(usage.completion_tokens_details.reasoning_tokens for usage in usages)),
    )


def _durations(found: Sequence[Done]) -> Durations:
    """Of the one that took longest in each phase."""
    spent = [done.durations for done in found]
    return Durations(
        max(one.queued for one in spent), max(one.prefill for one in spent), max(one.decode for one in spent)
    )
