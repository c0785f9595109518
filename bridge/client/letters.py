"""The dead letters, for the operator: read them, send one again, remove it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from nats.aio.client import Client

from bridge.client import outcomes, stored
from bridge.client.articles import Outgoing, publish
from bridge.client.stored import Stored
from schemas import streams, subjects
from schemas.articles import DeadLetter
from schemas.errors import BadRequest, NotFound


class Letter(NamedTuple):
    """A dead letter where it lies. `letter` is None for what is none: it can only be removed."""

    id: str
    recipe: str
    sequence: int
    letter: DeadLetter | None
    payload: bytes


async def every(nc: Client, recipe: str | None) -> AsyncIterator[Letter]:
    """All of them, oldest first."""
    async for found in stored.read(nc, streams.DEAD.name, subjects.dead("*", recipe or "*", "*")):
        yield _letter(found)


async def find(nc: Client, recipe: str, key: str) -> Letter:
    """The one of an article. Raises NotFound."""
    found = await outcomes.dead(nc, recipe, subjects.id_token(key))
    if found is None:
        raise NotFound(
            f"There is no dead letter of `{key}` for the recipe `{recipe}`; `--recipe` names another."
        )
    return _letter(found)


async def retry(nc: Client, letter: Letter, full: Callable[[str], None]) -> bool:
    """Publish the original again, then remove the letter; False when the same article waits already."""
    if letter.letter is None:
        raise BadRequest(f"What lies in DEAD as `{letter.id}` is not a dead letter: remove it.")
    subject = letter.letter.subject
    article = Outgoing(letter.id, letter.id, letter.recipe, subject, letter.payload, {})
    sequence = await publish(nc, article, full)
    await remove(nc, letter)
    return sequence is not None


async def remove(nc: Client, letter: Letter) -> None:
    """This one only: a newer letter of the same article stays."""
    await stored.remove(nc, streams.DEAD.name, letter.sequence)


def _letter(found: Stored) -> Letter:
    recipe, token = found.subject.split(".")[2:4]
    try:
        letter = DeadLetter.from_headers(found.headers)
    except BadRequest:
        letter = None
    return Letter(token, recipe, found.sequence, letter, found.data)
