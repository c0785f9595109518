"""`nats-mlx service`: at login, by the system's own manager."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from bridge.cli.output import json_line, note, say
from bridge.service.launchd import Launchd
from bridge.service.manager import Manager, State
from bridge.service.systemd import Systemd
from bridge.service.task import NAMES, Name, task
from schemas.errors import Unavailable

app = typer.Typer(no_args_is_help=True, help="Run at login, kept by launchd or systemd.")

_Task = Annotated[Name, typer.Argument(help="`up` is all of it; a worker or a bridge by itself.")]


def _manager() -> Manager:
    """This machine's. Raises Unavailable where there is none that is known here."""
    match sys.platform:
        case "darwin":
            return Launchd()
        case "linux":
            return Systemd()
    raise Unavailable(f"Services are not known on {sys.platform}: start `nats-mlx up` by its own means.")


@app.command()
def install(
    name: _Task = "up",
    *,
    nats_port: Annotated[int | None, typer.Option(help="For `up`: of the nats-server.")] = None,
) -> None:
    """Start it now and at each login; again brings it up to date.

    What is set in this shell (NATS_*, NATS_MLX_*, HF_*, OTEL_*) comes along, in a file that only you may read.
    """
    arguments = [] if nats_port is None else ["--nats-port", str(nats_port)]
    if arguments and name != "up":
        raise typer.BadParameter("--nats-port is of `up`; the others have NATS_URL")
    manager, wanted = _manager(), task(name, os.environ, arguments)
    manager.install(wanted)
    note(f"installed: {manager.file(name)}\nlog: {wanted.log}; `nats-mlx service status` says how it is")
    if sys.platform == "linux":
        note("it ends when you log out, unless `loginctl enable-linger` lets it run from the machine's start")


@app.command()
def uninstall(name: _Task = "up") -> None:
    """Stop it, and start it no more. Data and logs stay."""
    manager = _manager()
    if not manager.uninstall(name):
        raise Unavailable(f"There is no service `{name}`: {manager.file(name)} is not there.")
    note(f"removed: {manager.file(name)}")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object each.")] = False) -> None:
    """Which are installed, and whether they run; exit code 1 when one is installed and does not run."""
    manager = _manager()
    states = [manager.state(name) for name in NAMES]
    for state in states:
        if as_json:
            json_line(state)
        elif state.installed:
            say(_sentence(state))
    if not as_json and not any(state.installed for state in states):
        note("none is installed: `nats-mlx service install`")
    raise typer.Exit(any(state.installed and not state.running for state in states))


def _sentence(state: State) -> str:
    if state.running:
        return f"{state.name}: running, pid {state.pid}"
    ended = "it has not run yet" if state.exit_code is None else f"its last exit code is {state.exit_code}"
    return f"{state.name}: installed, not running; {ended}. `nats-mlx logs` says why, `nats-mlx doctor` what to do"
