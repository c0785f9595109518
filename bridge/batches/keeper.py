"""Looks after batches: validates, puts their lines onto the queue, counts what ends, and writes their files.

Nothing of a batch is only here: whoever takes its job after us goes on from what lies in NATS.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from functools import partial

from bridge import jsonl
from bridge.batches import states
from bridge.batches.check import LONGEST, Check
from bridge.batches.results import Compiler, Tally
from bridge.client import Client, batches, files, lines, stored
from bridge.client.files import Upload
from bridge.client.gate import Gate
from bridge.client.lines import Outgoing
from schemas.batches import BatchError, KeptBatch, RequestCounts
from schemas.errors import NotFound, Unavailable
from schemas.runtime import log, tasks

_log = log.get("bridge.keeper")

_LOOK_EVERY = 1.0
# Lines that are put onto the queue between two looks at the batch, and lines whose results are held at once.
_SENT_AT_ONCE = 256
_READ_AT_ONCE = 32
# Lines after which others have their turn: each costs a moment of the loop.
_BREATH = 64

Numbered = tuple[int, bytes]


class Caretaker:
    """Of one batch, until it is over."""

    def __init__(self, nc: Client, batch_id: str) -> None:
        self._nc = nc
        self._id = batch_id
        self._tally = Tally()
        self._cursor = 0
        self._gate = Gate(lambda why: _log.warning("batch_waits", batch=batch_id, reason=why))

    async def run(self) -> None:
        """Raises LlmError where it cannot go on now."""
        while True:
            kept = await batches.get(self._nc, self._id, stored.patiently)
            if kept.batch.over:
                break
            try:
                await self._step(kept)
            except NotFound as error:
                fault = BatchError(error.code or "file_not_found", error.message, "input_file_id")
                await self._change(partial(states.failed, faults=[fault], now=_now()))
        await lines.withdraw(self._nc, self._id)
        await lines.forget(self._nc, self._id)
        _log.info("batch_over", batch=self._id, status=kept.batch.status)

    async def _step(self, kept: KeptBatch) -> None:
        match kept.batch.status:
            case "validating":
                await self._validate(kept)
            case "in_progress":
                if await self._send(kept):
                    await self._watch(kept)
            case _:
                await self._finish(kept)

    async def _change(self, step: batches.Step) -> KeptBatch:
        kept = await batches.change(self._nc, self._id, step)
        _log.debug("batch", batch=self._id, status=kept.batch.status)
        return kept

    async def _validate(self, kept: KeptBatch) -> None:
        check = Check(kept.batch.endpoint)
        async for _, text in self._lines(kept):
            check.line(text)
            if check.over:
                break
        check.end()
        if check.faults:
            await self._change(partial(states.failed, faults=check.faults, now=_now()))
            return
        await self._change(
            partial(
                states.in_progress, total=check.total, refused=check.refused, model=check.model, now=_now()
            )
        )

    async def _send(self, kept: KeptBatch) -> bool:
        """From where the keeper before us was; False when the batch shall not go on."""
        compiler, sent = Compiler(kept.batch), kept.sent
        window: list[Outgoing] = []
        async for number, text in self._lines(kept):
            if number <= kept.sent:
                continue
            if (payload := compiler.request(number, text)) is not None:
                window.append(Outgoing(number, payload))
            if len(window) == _SENT_AT_ONCE:
                if not await self._put(compiler.api, window, sent):
                    return False
                window, sent = [], number
        return await self._put(compiler.api, window, sent)

    async def _put(self, api: str, window: list[Outgoing], sent: int) -> bool:
        """Onto the queue, behind the first `sent` lines. It may be full for hours; whoever cancels shall not wait."""
        sending = asyncio.create_task(lines.send(self._nc, self._id, api, window, self._gate))
        try:
            while True:
                await asyncio.wait({sending}, timeout=_LOOK_EVERY)
                if not await self._goes_on(sent):
                    return False
                if sending.done():
                    sending.result()
                    return True
        finally:
            await tasks.end(sending)

    async def _watch(self, kept: KeptBatch) -> None:
        total = kept.batch.request_counts.total
        while await self._goes_on(total):
            if self._tally.done + kept.refused >= total:
                await self._change(partial(states.finalizing, now=_now()))
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def _goes_on(self, sent: int) -> bool:
        """Count what has ended, and look whether somebody cancelled or the time is up."""
        async for result in lines.since(self._nc, self._id, self._cursor):
            self._tally.add(result.data)
            self._cursor = result.sequence
        tally = self._tally
        kept = await self._change(
            partial(
                states.counted, sent=sent, completed=tally.completed, failed=tally.failed, usage=tally.usage
            )
        )
        if kept.batch.status != "in_progress":
            return False
        if _now() < kept.batch.expires_at:
            return True
        await lines.withdraw(self._nc, self._id)
        await self._change(partial(states.finalizing, now=_now()))
        return False

    async def _finish(self, kept: KeptBatch) -> None:
        await lines.withdraw(self._nc, self._id)
        if kept.batch.in_progress_at is None:  # cancelled before anything was known of its lines
            await self._change(
                partial(states.over, counts=RequestCounts(), output=None, error=None, now=_now())
            )
            return
        async with AsyncExitStack() as stack:
            report = _Report(self._nc, kept, stack)
            window: list[Numbered] = []
            async for line in self._lines(kept):
                window.append(line)
                if len(window) == _READ_AT_ONCE:
                    await self._compile(kept, window, report)
                    window.clear()
            await self._compile(kept, window, report)
            if (await batches.get(self._nc, self._id, stored.patiently)).batch.over:
                # We slept for so long that another one took over, and has removed the results meanwhile.
                raise Unavailable("Another keeper was quicker.")
            output, error = await report.finish()
        await self._change(partial(states.over, counts=report.counts, output=output, error=error, now=_now()))

    async def _compile(self, kept: KeptBatch, window: list[Numbered], report: _Report) -> None:
        compiler = Compiler(kept.batch)
        results = await lines.results(self._nc, self._id, [number for number, _ in window])
        for number, text in window:
            ended = compiler.ended(number, text, results.get(number))
            if ended.fate == "missing" and _all_counted(kept):
                # A replica that lags may have answered us. Beyond its time the batch ends without the result.
                raise Unavailable(f"The result of line {number} cannot be read yet.")
            await report.add(ended.fate, ended.text)

    async def _lines(self, kept: KeptBatch) -> AsyncGenerator[Numbered]:
        number = 0
        async for text in jsonl.lines(files.read(self._nc, kept.input), LONGEST):
            number += 1
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            yield number, text


class _Report:
    """The two files of a batch, each begun with its first line, and open as long as `stack`."""

    def __init__(self, nc: Client, kept: KeptBatch, stack: AsyncExitStack) -> None:
        self._nc = nc
        self._kept = kept
        self._stack = stack
        self._files: dict[str, Upload] = {}
        self._fates = {"completed": 0, "failed": 0, "missing": 0}

    @property
    def counts(self) -> RequestCounts:
        return RequestCounts(sum(self._fates.values()), self._fates["completed"], self._fates["failed"])

    async def add(self, fate: str, text: bytes) -> None:
        self._fates[fate] += 1
        kind = "output" if fate == "completed" else "error"
        if kind not in self._files:
            seconds = self._kept.output_seconds
            upload = Upload(self._nc, "batch_output", stored.patiently, seconds)
            self._files[kind] = await self._stack.enter_async_context(upload)
        await self._files[kind].write(text)

    async def finish(self) -> tuple[str | None, str | None]:
        """Their ids: the same ones for whoever writes them again."""
        batch_id = self._kept.batch.id
        found: dict[str, str] = {}
        for kind, upload in self._files.items():
            digest = hashlib.sha256(f"{batch_id}.{kind}".encode()).hexdigest()[:32]
            name = f"{batch_id}_{kind}.jsonl"
            found[kind] = (await upload.finish(f"file-{digest}", name, self._kept.output_seconds)).id
        return found.get("output"), found.get("error")


def _all_counted(kept: KeptBatch) -> bool:
    batch, counts = kept.batch, kept.batch.request_counts
    ended = counts.completed + counts.failed >= counts.total
    return batch.status == "finalizing" and ended and _now() < batch.expires_at


def _now() -> int:
    return int(time.time())
