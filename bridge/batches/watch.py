"""The keepers of one bridge: they take jobs as long as it runs, and give back what is not over at its end."""

from __future__ import annotations

import asyncio

from bridge.batches.keeper import Caretaker
from bridge.client import Client, batches, stored
from bridge.client.batches import Job, Jobs
from schemas import streams
from schemas.errors import LlmError, NotFound, TooLarge, Unavailable
from schemas.runtime import log, tasks

_log = log.get("bridge.keeper")

# Each waits most of its time. More batches than that wait until others are over, here or at another bridge.
_MOST = 64
_LOOK_AGAIN = 1.0
_AGAIN = 5.0
# Somebody has to make room first, and what was compiled is compiled anew.
_AGAIN_WHEN_FULL = 300.0


class Watch:
    """Runs from start() to stop()."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._jobs = Jobs(nc)
        self._under_way: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_MOST)
        self._task: asyncio.Task[None] | None = None
        self._told = ""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="keeper")

    async def stop(self) -> None:
        if self._task is not None:
            await tasks.end(self._task)  # first: it may just have taken one more
        await self._jobs.stop()  # else what is given back comes to the request that was just left
        await tasks.end(*self._under_way)

    async def _run(self) -> None:
        while True:
            await self._room.acquire()
            while (job := await self._next()) is None:
                pass
            task = asyncio.create_task(self._care(job))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def _next(self) -> Job | None:
        """None when there is none at the moment; what stands in the way is told once, and waited out."""
        try:
            if self._nc.is_connected:
                job, self._told = await self._jobs.next(), ""
                return job
        except Unavailable as error:
            if error.message != self._told:
                _log.warning("no_batches", reason=error.message)
            self._told = error.message
        except Exception:
            _log.exception("no_batches")
        await asyncio.sleep(_LOOK_AGAIN)
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.release()

    async def _care(self, job: Job) -> None:
        keeping = asyncio.create_task(self._keep(job))
        try:
            await self._look_after(job)
        except asyncio.CancelledError:
            await job.give_back()
            raise
        except LlmError as error:
            _log.warning("batch_later", batch=job.batch_id, reason=error.message)
            await job.give_back(_AGAIN_WHEN_FULL if isinstance(error, TooLarge) else _AGAIN)
        except Exception:
            _log.exception("batch_stuck", batch=job.batch_id)
            await job.give_back(_AGAIN)
        else:
            await job.done()
        finally:
            keeping.cancel()

    async def _look_after(self, job: Job) -> None:
        born = job.born()
        if born is None:
            _log.error("no_batch", batch=job.batch_id, hint="somebody else published on its subject")
            return
        await batches.admit(self._nc, born, stored.patiently)
        _log.info("batch_taken", batch=job.batch_id)
        try:
            await Caretaker(self._nc, job.batch_id).run()
        except NotFound:
            _log.warning("batch_gone", batch=job.batch_id, hint="an operator took it out of its bucket")

    async def _keep(self, job: Job) -> None:
        while True:
            await asyncio.sleep(streams.KEEPER_ACK_WAIT / 4)
            await job.keep()
