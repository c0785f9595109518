"""The processes behind the command: the worker is a program of its own, which may not be installed here."""

from __future__ import annotations

import os
from typing import Annotated, NoReturn

import typer

from bridge import app
from bridge.up.programs import need_worker, python

model = typer.Typer(no_args_is_help=True, help="The models on this machine.")


def worker() -> None:
    """Run a worker in the foreground."""
    _become("worker")


def bridge() -> None:
    """Run the HTTP bridge in the foreground."""
    raise typer.Exit(app.main())


@model.command("ls")
def ls(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List the models that are here."""
    _become("worker", "model", "ls", *(["--json"] if as_json else []))


@model.command("fetch")
def fetch(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A Hugging Face name, or `starter`; else the worker's own."),
    ] = None,
) -> None:
    """Fetch a model, so that a worker starts at once."""
    _become("worker", "model", "fetch", *([name] if name else []))


def _become(*arguments: str) -> NoReturn:
    """In this process's place: signals and the exit code are the worker's own."""
    need_worker()
    command = python(*arguments)
    os.execv(command[0], command)
