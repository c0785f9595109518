"""`nats-mlx dead`: read what could not be done, send it again, or remove it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from bridge.cli import tables
from bridge.cli.access import connected
from bridge.cli.output import json_line, note, out, plain, say
from bridge.client import Client, letters
from bridge.client.letters import Letter

app = typer.Typer(no_args_is_help=True, help="Dead letters: articles that ended without an analysis.")

_Ids = Annotated[list[str], typer.Argument(metavar="ID")]
_Recipe = Annotated[str, typer.Option(help="Whose dead letter.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("ls")
def ls(
    recipe: Annotated[str | None, typer.Option(help="Of this recipe only.")] = None, as_json: _Json = False
) -> None:
    """List them, oldest first."""
    asyncio.run(_ls(recipe, as_json))


@app.command("show")
def show(ids: _Ids, recipe: _Recipe = "coin", as_json: _Json = False) -> None:
    """Show the reason and the original article."""

    async def one(_: Client, letter: Letter) -> None:
        if as_json:
            json_line(_fields(letter) | {"payload": letter.payload.decode(errors="replace")})
        else:
            _print(letter)

    _each(ids, recipe, one)


@app.command("retry")
def retry(ids: _Ids, recipe: _Recipe = "coin") -> None:
    """Put the original article onto the queue again."""

    async def one(nc: Client, letter: Letter) -> None:
        fresh = await letters.retry(nc, letter, note)
        say(f"{letter.id}: {'sent again' if fresh else 'waits on the queue already'}")

    _each(ids, recipe, one)


@app.command("rm")
def rm(ids: _Ids, recipe: _Recipe = "coin") -> None:
    """Remove them for good."""

    async def one(nc: Client, letter: Letter) -> None:
        await letters.remove(nc, letter)
        say(f"{letter.id}: removed")

    _each(ids, recipe, one)


def _each(ids: list[str], recipe: str, act: Callable[[Client, Letter], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connected("operator") as nc:
            for key in ids:
                await act(nc, await letters.find(nc, recipe, key))

    asyncio.run(run())


async def _ls(recipe: str | None, as_json: bool) -> None:
    built = tables.table("id", "recipe", "reason", "tries", "error")
    built.columns[4].ratio = 1
    async with connected("operator") as nc:
        async for one in letters.every(nc, recipe):
            letter = one.letter
            if as_json:
                json_line(_fields(one))
            elif letter is None:
                tables.add(built, one.id, one.recipe, "", "", "not a dead letter")
            else:
                tables.add(built, one.id, one.recipe, letter.reason, letter.attempts, letter.error)
    if built.row_count:
        out.print(built)
    elif not as_json:
        note("no dead letters")


def _fields(one: Letter) -> dict[str, Any]:
    return {"id": one.id, "recipe": one.recipe, "letter": one.letter}


def _print(one: Letter) -> None:
    say(f"{one.id} ({one.recipe})")
    if letter := one.letter:
        for name in letter.__struct_fields__:
            say(f"  {name:<11}{getattr(letter, name)}")
    say("")
    say(plain(one.payload.decode(errors="replace")))
