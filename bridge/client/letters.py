"""The dead letters, for the operator: read them, send one again, remove it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, NamedTuple

from nats.aio.client import Client

from bridge.client import outcomes, pages, stored
from bridge.client.articles import Outgoing, fits, publish
from bridge.client.gate import Gate
from bridge.client.pages import Page
from bridge.client.stored import Stored
from schemas import streams, subjects, trace
from schemas.articles import DeadLetter
from schemas.errors import BadRequest, NotFound
from schemas.trace import Trace


class Letter(NamedTuple):
    """A dead letter where it lies. `letter` is None for what is none: it can only be removed."""

    id: str
    recipe: str
    sequence: int
    letter: DeadLetter | None
    payload: bytes
    trace: Trace | None = None


class Wanted(NamedTuple):
    """Which letters are meant; None is any."""

    recipe: str | None = None
    reason: str | None = None

    def takes(self, letter: Letter) -> bool:
        return self.reason is None or (letter.letter is not None and letter.letter.reason == self.reason)

    def subject(self, of: str = "*") -> str:
        return subjects.dead("*", self.recipe or "*", of)


async def every(nc: Client, wanted: Wanted) -> AsyncGenerator[Letter]:
    """Those that are there now, oldest first: one that is sent again may die again meanwhile, and is a new one."""
    end = await stored.newest(nc, streams.DEAD.name)
    async for found in stored.read(nc, streams.DEAD.name, wanted.subject(), end=end):
        if wanted.takes(letter := _letter(found)):
            yield letter


async def page(nc: Client, wanted: Wanted, cursor: int, limit: int) -> Page[Letter]:
    """Without their articles, which may be large."""

    def keep(found: Stored) -> Letter | None:
        letter = _letter(found._replace(data=b""))
        return letter if wanted.takes(letter) else None

    found = stored.read(nc, streams.DEAD.name, wanted.subject(), cursor + 1, at_once=limit + 1)
    return await pages.fill(found, keep, cursor, limit)


async def find(nc: Client, wanted: Wanted, key: str) -> Letter:
    """The one of an article. Raises NotFound; and BadRequest when several recipes have one."""
    place = wanted.subject(subjects.id_token(key))
    found = [_letter(one) async for one in stored.read(nc, streams.DEAD.name, place)]
    fit = [one for one in found if wanted.takes(one)]
    if len(fit) > 1:
        recipes = ", ".join(sorted(one.recipe for one in fit))
        raise BadRequest(
            f"`{key}` is dead for several recipes ({recipes}): say with `--recipe` which is meant."
        )
    if not fit:
        of = f" of the recipe `{wanted.recipe}`" if wanted.recipe else ""
        why = f" with the reason `{wanted.reason}`" if wanted.reason else ""
        raise NotFound(f"There is no dead letter of `{key}`{of}{why}.")
    return fit[0]


Fate = Literal["sent again", "waits already", "analysed already", "not let go yet"]


async def retry(nc: Client, letter: Letter, gate: Gate) -> Fate:
    """Publish the original again, then remove its letter: whatever dies in between, one of the two is there.

    Who repeats it then sends nothing twice. "not let go yet": the letter stays, for whoever wrote it may not
    have taken its original off the queue so far.
    """
    if letter.letter is None:
        raise BadRequest(
            f"What lies in DEAD as `{letter.id}` is not a dead letter: remove it.", code="invalid_letter"
        )
    fate = await _send(nc, letter, letter.letter, gate)
    if fate != "not let go yet":
        await remove(nc, letter)
    return fate


async def _send(nc: Client, letter: Letter, why: DeadLetter, gate: Gate) -> Fate:
    found = None if why.replace else await outcomes.analysis(nc, letter.recipe, letter.id, gate.reconnect)
    if found is not None:
        return "analysed already"  # by an earlier retry that did not live to remove the letter
    article = Outgoing(
        letter.id, letter.id, letter.recipe, why.subject, letter.payload, _headers(letter, why)
    )
    while await publish(nc, article, gate) is None:
        waiting = await stored.look(nc, streams.ARTICLES.name, why.subject)
        if waiting is not None:
            return "not let go yet" if waiting.sequence == why.sequence else "waits already"
        # What was in the way has gone in this moment.
    return "sent again"


def _headers(letter: Letter, why: DeadLetter) -> dict[str, str]:
    """The wish for a new analysis, and of the earlier life what there is room for."""
    headers = {subjects.REPLACE: "true"} if why.replace else {}
    followed = letter.trace.headers if letter.trace else {}
    for name, value in (why.earlier.headers() | followed).items():
        if fits(letter.payload, headers | {name: value}):
            headers[name] = value
    return headers


async def remove(nc: Client, letter: Letter) -> None:
    """This one only: a newer letter of the same article stays."""
    await stored.remove(nc, streams.DEAD.name, letter.sequence)


def _letter(found: Stored) -> Letter:
    recipe, token = found.subject.split(".")[2:4]
    try:
        letter = DeadLetter.from_headers(found.headers)
    except BadRequest:
        letter = None
    traced = trace.parse(found.headers.get(subjects.TRACEPARENT))
    return Letter(token, recipe, found.sequence, letter, found.data, traced)
