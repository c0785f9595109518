"""What a publication says while it goes on: to people, and to programs."""

from __future__ import annotations

from typing import Any

import msgspec

from bridge.cli.output import Progress, json_line, note
from bridge.client.articles import Outgoing
from bridge.client.outcomes import Outcome
from bridge.publication import Line, Tally
from schemas.errors import LlmError


def summary(tally: Tally, wait: bool, seconds: float) -> str:
    parts = [f"{tally.published} published"]
    parts += [f"{tally.waited} waited already"] if tally.waited else []
    parts += [f"{tally.bad} bad"] if tally.bad else []
    parts += [f"{tally.unsent} not sent"] if tally.unsent else []
    before = f" ({tally.before} before)" if tally.before else ""
    parts += [f"{tally.done} analysed{before}", f"{tally.dead} dead"] if wait else []
    parts += [f"{tally.open} open"] if wait and tally.open else []
    return f"{', '.join(parts)} ({seconds:.1f} s)"


class Lines:
    """For people: progress, and a line for each article that went wrong. `wait`: to the outcomes."""

    def __init__(self, progress: Progress, wait: bool) -> None:
        self.tally = Tally()
        self._progress = progress
        self._wait = wait

    def bad(self, line: Line, error: LlmError) -> None:
        note(f"{line.where}: {error.message}")

    def published(self, article: Outgoing, sequence: int | None) -> None:  # noqa: ARG002 - Report's
        self._show()

    def outcome(self, outcome: Outcome) -> None:
        if outcome.dead is not None:
            note(f"{outcome.id}: dead: {outcome.dead.error}")
        self._show()

    def full(self, why: str) -> None:
        note(why)

    def unsent(self, line: Line) -> None:
        note(f"{line.where}: not sent")

    def unread(self, line: Line) -> None:
        note(f"{line.where}: what follows it was not sent either")

    def gave_up(self, error: LlmError) -> None:
        note(f"error: {error.message}")

    def _show(self) -> None:
        tally = self.tally
        parts = [f"{tally.published} published"]
        parts += [f"{tally.waited} waited already"] if tally.waited else []
        parts += [f"{tally.done} analysed", f"{tally.dead} dead"] if self._wait else []
        ended = tally.done + tally.dead if self._wait else tally.published + tally.waited
        self._progress.show(", ".join(parts), tally.bad + tally.unsent + ended, tally.read)


class Json:
    """For programs: one object for each event, the analysis as it is stored."""

    tally = Tally()

    def bad(self, line: Line, error: LlmError) -> None:
        self._emit("bad", where=line.where, param=error.param, code=error.code, error=error.message)

    def published(self, article: Outgoing, sequence: int | None) -> None:
        status = "waits already" if sequence is None else "published"
        self._emit(status, id=article.id, sequence=sequence, trace_id=article.trace_id)

    def outcome(self, outcome: Outcome) -> None:
        if outcome.analysis is not None:
            self._emit(
                "analysed", id=outcome.id, before=outcome.before, analysis=msgspec.Raw(outcome.analysis)
            )
        else:
            self._emit("dead", id=outcome.id, letter=outcome.dead)

    def full(self, why: str) -> None:
        note(why)

    def unsent(self, line: Line) -> None:
        self._emit("not sent", where=line.where)

    def unread(self, line: Line) -> None:
        self._emit("not sent", after=line.where)

    def gave_up(self, error: LlmError) -> None:
        note(f"error: {error.message}")

    def _emit(self, status: str, **fields: Any) -> None:
        json_line({"status": status} | fields)
