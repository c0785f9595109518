"""The command `nats-mlx`. Data goes to stdout, the rest to stderr; 0 is done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from bridge.cli import (
    batch,
    bench,
    chat,
    dead,
    doctor,
    keys,
    logs,
    processes,
    publish,
    recipe,
    results,
    service,
    status,
    up,
)
from bridge.cli.output import note
from schemas.errors import BadSettings, LlmError
from schemas.runtime import log

app = typer.Typer(
    name="nats-mlx",
    help="A language model on your Mac, fed by messages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up.up)
app.command()(processes.worker)
app.command()(processes.bridge)
app.command()(publish.publish)
app.command()(results.results)
app.add_typer(dead.app, name="dead")
app.add_typer(batch.app, name="batch")
app.add_typer(recipe.app, name="recipe")
app.command()(chat.chat)
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(logs.logs)
app.add_typer(service.app, name="service")
app.add_typer(keys.app, name="keys")
app.add_typer(processes.model, name="model")
app.add_typer(bench.app, name="bench")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nats-mlx {importlib.metadata.version('nats-mlx')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A language model on your Mac, fed by messages."""


def main() -> None:
    """The console script. A person gets one line for what went wrong, never a traceback."""
    log.setup("warning", "auto")
    try:
        app()
    except BadSettings as error:
        _fail(error.message, 2)
    except (LlmError, OSError, BaseExceptionGroup) as error:
        _fail("; ".join(dict.fromkeys(_sentences(error))), 1)
    except KeyboardInterrupt:
        sys.exit(1)


def _fail(sentence: str, code: int) -> None:
    note(f"error: {sentence}")
    sys.exit(code)


def _sentences(error: BaseException) -> Iterator[str]:
    """Of a group, what each task failed with. Anything else in it is a fault of ours: let it be seen."""
    match error:
        case BaseExceptionGroup():
            for one in error.exceptions:
                yield from _sentences(one)
        case LlmError():
            yield error.message
        case OSError(strerror=str() as reason):
            yield f"{error.filename}: {reason}" if error.filename else reason
        case _:
            raise error
