"""`nats-mlx dead`: read what could not be done, send it again, or remove it."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any

import typer

from bridge.access import connected
from bridge.cli.listing import Column, Listing
from bridge.cli.output import json_line, note, plain, say
from bridge.client import Client, letters
from bridge.client.gate import Gate
from bridge.client.letters import Fate, Letter, Wanted
from schemas.errors import BadRequest, NotFound

app = typer.Typer(no_args_is_help=True, help="Dead letters: articles that ended without an analysis.")

_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Or --all.", show_default=False)]
_All = Annotated[bool, typer.Option("--all", help="All that --recipe and --reason leave.")]
_Recipe = Annotated[str | None, typer.Option(help="Of this recipe only.")]
_Reason = Annotated[str | None, typer.Option(help="That died for this reason only, as `ls` shows it.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

_AT_ONCE = 32
_Act = Callable[[Client, Letter], Awaitable[None]]


@app.command("ls")
def ls(recipe: _Recipe = None, reason: _Reason = None, as_json: _Json = False) -> None:
    """List them, oldest first."""
    asyncio.run(_ls(Wanted(recipe, reason), as_json))


@app.command("show")
def show(
    ids: _Ids = None,
    *,
    every: _All = False,
    recipe: _Recipe = None,
    reason: _Reason = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="The original article alone, byte for byte.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Show the reason and the original article."""

    async def one(_: Client, letter: Letter) -> None:
        if payload:
            sys.stdout.buffer.write(letter.payload + b"\n")
            sys.stdout.flush()
        elif as_json:
            json_line(_fields(letter) | _text(letter.payload))
        else:
            _print(letter)

    if _run(ids, every, Wanted(recipe, reason), one, at_once=1):
        raise typer.Exit(1)


@app.command("retry")
def retry(
    ids: _Ids = None,
    *,
    every: _All = False,
    recipe: _Recipe = None,
    reason: _Reason = None,
    as_json: _Json = False,
) -> None:
    """Put the original article onto the queue again, under the same id."""
    fates: Counter[Fate] = Counter()
    gate = Gate(note)

    async def one(nc: Client, letter: Letter) -> None:
        fate = await letters.retry(nc, letter, gate)
        fates[fate] += 1
        _tell(letter, fate, as_json, every and fate != "not let go yet")

    failed = _run(ids, every, Wanted(recipe, reason), one)
    if every and not as_json:
        say(", ".join(f"{count} {fate}" for fate, count in fates.items()) or "no dead letters")
    if left := fates["not let go yet"]:
        note(f"{left} of them may come off the queue in this moment: try again in a minute.")
    raise typer.Exit(1 if left or failed else 0)


@app.command("rm")
def rm(
    ids: _Ids = None,
    *,
    every: _All = False,
    recipe: _Recipe = None,
    reason: _Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: _Json = False,
) -> None:
    """Remove them for good."""
    wanted = Wanted(recipe, reason)
    if every and not yes:
        _confirm(wanted)
    removed = 0

    async def one(nc: Client, letter: Letter) -> None:
        nonlocal removed
        await letters.remove(nc, letter)
        removed += 1
        _tell(letter, "removed", as_json, every)

    failed = _run(ids, every, wanted, one)
    if every and not as_json:
        say(f"{removed} removed" if removed else "no dead letters")
    raise typer.Exit(1 if failed else 0)


def _confirm(wanted: Wanted) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("--all removes without asking only with --yes")
    count = asyncio.run(_count(wanted))
    if count:
        typer.confirm(f"Remove {count} dead letter{'s' * (count > 1)} for good?", abort=True, err=True)


async def _count(wanted: Wanted) -> int:
    async with connected("operator") as nc:
        return len([None async for _ in letters.every(nc, wanted)])


def _run(ids: list[str] | None, every: bool, wanted: Wanted, act: _Act, at_once: int = _AT_ONCE) -> int:
    """How many of the ids had no letter, or none that could be used; the others are done all the same."""
    if bool(ids) == every:
        raise typer.BadParameter("give ids, or --all")
    return asyncio.run(_act_on(ids or [], wanted, act, at_once))


async def _act_on(ids: list[str], wanted: Wanted, act: _Act, at_once: int) -> int:
    failed = 0

    async def one(letter: Letter) -> None:
        nonlocal failed
        try:
            await act(nc, letter)
        except BadRequest as error:
            failed += 1
            note(error.message)

    async def found() -> AsyncGenerator[Letter]:
        nonlocal failed
        for key in ids:
            try:
                yield await letters.find(nc, wanted, key)
            except (NotFound, BadRequest) as error:
                failed += 1
                note(error.message)

    async with connected("operator") as nc:
        await _side_by_side(found() if ids else letters.every(nc, wanted), one, at_once)
    return failed


async def _side_by_side(
    some: AsyncGenerator[Letter], act: Callable[[Letter], Awaitable[None]], at_once: int
) -> None:
    """In their order, `at_once` of them at a time."""
    free = asyncio.Semaphore(at_once)

    async def one(letter: Letter) -> None:
        try:
            await act(letter)
        finally:
            free.release()

    async with asyncio.TaskGroup() as tasks:
        async for letter in some:
            await free.acquire()
            tasks.create_task(one(letter))


async def _ls(wanted: Wanted, as_json: bool) -> None:
    listing = Listing(
        Column("id"), Column("recipe", 10), Column("reason", 16), Column("tries", 5), Column("error")
    )
    found = False
    async with connected("operator") as nc:
        async for one in letters.every(nc, wanted):
            found = True
            letter = one.letter
            if as_json:
                json_line(_fields(one))
            elif letter is None:
                listing.add(one.id, one.recipe, "", "", "not a dead letter")
            else:
                listing.add(one.id, one.recipe, letter.reason, letter.attempts, letter.error)
    listing.flush()
    if not (found or as_json):
        note("no dead letters")


def _fields(one: Letter) -> dict[str, Any]:
    return {"id": one.id, "recipe": one.recipe, "letter": one.letter}


def _text(payload: bytes) -> dict[str, str]:
    """JSON knows no bytes: what is no text stays whole as base64."""
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _tell(one: Letter, what: str, as_json: bool, quiet: bool) -> None:
    if as_json:
        json_line({"id": one.id, "recipe": one.recipe, "status": what})
    elif not quiet:
        say(f"{one.id}: {what}")


def _print(one: Letter) -> None:
    say(f"{one.id} ({one.recipe})")
    if letter := one.letter:
        for name in letter.__struct_fields__:
            say(f"  {name:<16}{getattr(letter, name)}")
    say("")
    say(plain(one.payload.decode(errors="replace")))
