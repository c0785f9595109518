"""`nats-mlx keys`: who may use the bridge. A bridge that runs sees each change with its next request."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge import keys
from bridge.cli import tables
from bridge.cli.output import json_line, note, out, say
from bridge.keys import Key, KeyFile, Scope
from bridge.settings import Settings

app = typer.Typer(no_args_is_help=True, help="API keys of the HTTP bridge.")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    scope: Annotated[list[Scope], typer.Option(help="What it is for; may be given several times.")],
    rpm: Annotated[int, typer.Option(min=0, help="Requests per minute; 0: no limit.")] = 600,
    tpm: Annotated[
        int, typer.Option(min=0, help="Tokens per minute, of prompts and answers; 0: no limit.")
    ] = 200_000,
    concurrent: Annotated[int, typer.Option(min=0, help="Requests at a time; 0: no limit.")] = 32,
) -> None:
    """Make a key and print it, for the only time: what is kept is its hash."""
    token, key = keys.make(name, scope, rpm=rpm or None, tpm=tpm or None, concurrent=concurrent or None)
    _file().add(key)
    say(token)
    note("Keep it now: it is not shown again.")


@app.command("ls")
def ls(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List them with their scopes and limits."""
    built = tables.table("name", "scopes", "rpm", "tpm", "concurrent", "created")
    for key in _file().all():
        if as_json:
            json_line(_shown(key))
        else:
            limits = ("-" if limit is None else limit for limit in (key.rpm, key.tpm, key.concurrent))
            tables.add(built, key.name, ", ".join(key.scopes), *limits, f"{key.created:%Y-%m-%d}")
    if built.row_count:
        out.print(built)
    elif not as_json:
        note("no keys")


@app.command("rm")
def rm(names: Annotated[list[str], typer.Argument(metavar="NAME")]) -> None:
    """Revoke them, at once."""
    for name in names:
        _file().remove(name)
        say(f"{name}: revoked")


def _file() -> KeyFile:
    return KeyFile(keys.path(Settings.load()))


def _shown(key: Key) -> dict[str, object]:
    return {name: getattr(key, name) for name in key.__struct_fields__ if name != "sha256"}
