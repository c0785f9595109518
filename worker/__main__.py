"""`python -m worker` runs the worker; `python -m worker model ...` looks after the models on this disk."""

from __future__ import annotations

import argparse
import json
import sys

from schemas.errors import BadSettings, LlmError
from worker.settings import Settings, machine_memory


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nats-mlx worker", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    model = commands.add_parser("model", help="models on this disk").add_subparsers(
        dest="action", required=True
    )
    listing = model.add_parser("ls", help="list them")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    fetch = model.add_parser("fetch", help="download one unless it is here")
    fetch.add_argument(
        "name",
        nargs="?",
        help="`starter`, a Hugging Face repository, a folder, or a name from the settings; else the worker's",
    )
    # No one types it: `nats-mlx bench` does, and talks to it in JSON lines.
    commands.add_parser("bench")
    # Nor this: `nats-mlx doctor` reads one JSON object.
    commands.add_parser("doctor")
    return parser.parse_args()


def _list(as_json: bool) -> None:
    from worker.engine import store  # imports MLX, which takes a second that `run` and --help need not pay

    settings = Settings.load()
    for model in store.local(settings.wanted, settings.cache_dir):
        line = {"name": model.name, "aliases": model.aliases, "folder": str(model.folder)}
        print(json.dumps(line) if as_json else f"{model.name}\t{','.join(model.aliases)}\t{model.folder}")


def _fetch(name: str | None) -> None:
    from worker.engine import store  # see _list

    settings = Settings.load()
    asked = name or settings.model
    source = next((model.source for model in settings.wanted if model.answers_to(asked)), asked)
    model = store.fetch(source, settings.cache_dir)
    print(f"{model.name} is at {model.folder}", file=sys.stderr)


def _report() -> None:
    """What only the worker knows of this machine: its model, and the memory there is for it. Sizes in bytes.

    Raises Unavailable for a model that it could not serve.
    """
    from worker.engine import catalog, store  # see _list

    settings = Settings.load()
    default = settings.wanted[0]
    model = store.locate(default.source, settings.cache_dir)
    report = {
        "model": default.name,
        "source": default.source,
        "weights": None if model is None else catalog.described(default, model.folder).bytes,
        "kv": int(settings.kv),
        "prefixes": int(settings.prefix_bytes),
        "limit": int(settings.memory),
        "machine": machine_memory(),
        "cache": str(settings.cache_dir),
    }
    print(json.dumps(report))


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.command is None:
            from worker import app  # see _list

            app.main()
        if arguments.command == "bench":
            from worker.bench import helper  # see _list

            return helper.main()
        if arguments.command == "doctor":
            _report()
        elif arguments.action == "ls":
            _list(arguments.json)
        else:
            _fetch(arguments.name)
    except BadSettings as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except LlmError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
