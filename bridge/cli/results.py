"""`nats-mlx results`: analyses by id, all there are, or as they come."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from bridge.cli import tables
from bridge.cli.access import connected
from bridge.cli.output import json_line, note, out, say
from bridge.client import outcomes, stored
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
    found = []
    async with connected("publisher") as nc:
        for key in ids:
            token = subjects.id_token(key)
            one = await outcomes.analysis(nc, recipe, token)
            found += [one.data] if one else []
            if one is None:
                note(f"{key}: {_why(await outcomes.dead(nc, recipe, token))}")
    _show(found, as_json)
    return 0 if len(found) == len(ids) else 1


def _why(letter: stored.Stored | None) -> str:
    if letter is None:
        return "no analysis yet"
    try:
        return f"dead: {DeadLetter.from_headers(letter.headers).error}"
    except BadRequest as error:
        return error.message


async def _all(recipe: str, as_json: bool) -> None:
    found = []
    async with connected("operator") as nc:
        async for one in stored.read(nc, streams.ANALYSES.name, subjects.analysis(recipe, "*")):
            if as_json:
                json_line(msgspec.Raw(one.data))
            else:
                found.append(one.data)
    if not as_json:
        _show(found, as_json)


async def _feed(recipe: str, as_json: bool) -> None:
    async with connected("operator") as nc:
        async for one in stored.follow(nc, streams.ANALYSES.name, subjects.analysis(recipe, "*")):
            if as_json:
                json_line(msgspec.Raw(one.data))
            else:
                say(" ".join(tables.line(decode(Analysis, one.data)).split("\n")))


def _show(found: list[bytes], as_json: bool) -> None:
    if as_json:
        for data in found:
            json_line(msgspec.Raw(data))
    elif found:
        out.print(tables.analyses(decode(Analysis, data) for data in found))
    else:
        note("no analyses")
