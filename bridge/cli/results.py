"""`nats-mlx results`: analyses by id, all there are, or as they come."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from bridge.access import connected
from bridge.cli import tables
from bridge.cli.output import json_line, note, say
from bridge.client import outcomes, stored
from bridge.client.stored import Stored
from schemas import streams, subjects
from schemas.articles import Analysis, DeadLetter
from schemas.codec import decode
from schemas.errors import BadRequest


def results(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Without: all there are.")] = None,
    recipe: Annotated[str, typer.Option(help="Whose analyses.")] = "coin",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show analyses."""
    if ids and follow:
        raise typer.BadParameter("--follow takes no ids")
    if ids:
        raise typer.Exit(asyncio.run(_by_id(ids, recipe, as_json)))
    asyncio.run(_feed(recipe, as_json) if follow else _all(recipe, as_json))


async def _by_id(ids: list[str], recipe: str, as_json: bool) -> int:
    shown = _Shown(as_json)
    async with connected("publisher") as nc:
        for key in ids:
            token = subjects.id_token(key)
            one = await outcomes.analysis(nc, recipe, token)
            if one is not None:
                shown.add(one)
            else:
                note(f"{key}: {_why(await outcomes.dead(nc, recipe, token))}")
    shown.end()
    return 0 if shown.count == len(ids) else 1


def _why(letter: Stored | None) -> str:
    if letter is None:
        return "no analysis yet"
    try:
        return f"dead: {DeadLetter.from_headers(letter.headers).error}"
    except BadRequest as error:
        return error.message


async def _all(recipe: str, as_json: bool) -> None:
    shown = _Shown(as_json)
    async with connected("operator") as nc:
        async for one in stored.read(nc, streams.ANALYSES.name, subjects.analysis(recipe, "*")):
            shown.add(one)
    shown.end()


async def _feed(recipe: str, as_json: bool) -> None:
    async with connected("operator") as nc:
        async for one in stored.follow(nc, streams.ANALYSES.name, subjects.analysis(recipe, "*")):
            if (analysis := _read(one)) is None:
                continue
            if as_json:
                json_line(msgspec.Raw(one.data))
            else:
                say(" ".join(tables.line(analysis).split("\n")))


def _read(message: Stored) -> Analysis | None:
    """None, and a word to the person, for what is none or of a version that this one does not know."""
    try:
        return decode(Analysis, message.data)
    except BadRequest as error:
        note(f"{message.subject}: no analysis that this version can read. {error.message}")
        return None


class _Shown:
    """For people or for programs, each as it comes: there may be months of them."""

    def __init__(self, as_json: bool) -> None:
        self.count = 0
        self._as_json = as_json
        self._table = tables.Analyses()

    def add(self, message: Stored) -> None:
        if (analysis := _read(message)) is None:
            return
        self.count += 1
        if self._as_json:
            json_line(msgspec.Raw(message.data))
        else:
            self._table.add(analysis)

    def end(self) -> None:
        self._table.flush()
        if not (self.count or self._as_json):
            note("no analyses")
