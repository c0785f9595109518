"""`nats-mlx logs`: what the processes of an `up` said, of one request or of all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from bridge.cli.output import note, out, plain
from bridge.logs import Line, Wanted, lines
from bridge.settings import Settings

_COLOURS = {"warning": "yellow", "error": "red", "critical": "red"}
# Told at the head of a line already, or of no use to a person.
_HEAD = {"event", "level", "logger", "timestamp", "exception"}


def logs(
    *,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Of one request, or of one article.")
    ] = None,
    trace: Annotated[str | None, typer.Option(metavar="ID", help="Of one trace, by its trace_id.")] = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="This one and those above it.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And then whatever comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are in the files.")] = False,
) -> None:
    """Show the log files of the data folder, oldest line first."""
    settings = Settings.load()
    folder = settings.log_file.parent if settings.log_file else settings.data_dir / "logs"
    wanted = Wanted(request, trace, level)
    found = 0
    for line in lines(folder, follow=follow):
        if wanted.takes(line):
            found += 1
            _show(line, as_json)
    if not found:
        note(
            f"There is nothing of it in {folder}. If `up` has another data folder, set NATS_MLX_DATA_DIR to it; "
            "if a worker or a bridge has a log file of its own, set NATS_MLX_LOG_FILE."
        )
        raise typer.Exit(1)


def _show(line: Line, as_json: bool) -> None:
    if as_json:
        out.print(Text(plain(line.text)), soft_wrap=True)
        return
    fields = line.fields
    if not fields:
        out.print(Text(f"{line.process:11} {plain(line.text)}"), soft_wrap=True)
        return
    level = str(fields.get("level", ""))
    rest = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if name not in _HEAD)
    text = Text(f"{_clock(line.at)} {line.process:11} ")
    text.append(f"{level:8}", style=_COLOURS.get(level, ""))
    text.append(f"{plain(fields.get('event', ''))} {plain(rest)}")
    out.print(text, soft_wrap=True)
    if exception := fields.get("exception"):
        out.print(Text(plain(exception)), soft_wrap=True)


def _value(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text


def _clock(at: str) -> str:
    """In this place's own time."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]
    except ValueError:
        return at
