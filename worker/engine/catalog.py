"""The models of this worker, in memory or not: where each is, how long, how large, and what it answers to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import LlmError, NotFound, Unavailable
from schemas.runtime import log as logs
from schemas.subjects import CHAT, model_token, of_model
from worker.engine import identity, store
from worker.settings import Settings
from worker.wanted import Wanted

log = logs.get("worker.catalog")

_CODE = "model_unavailable"
_ADAPTER_FILES = ("adapter_config.json", "adapters.safetensors")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. `context` is in tokens; `bytes` is what its weights will take. A faulty one has neither."""

    name: str
    aliases: tuple[str, ...]
    folder: Path
    adapter: Path | None = None
    context: int = 0
    bytes: int = 0
    preload: bool = False
    fault: str | None = None
    identity: str = ""  # of the files as they were at the start

    @property
    def names(self) -> tuple[str, ...]:
        return self.name, *self.aliases

    @property
    def error(self) -> LlmError | None:
        """A new one each time: an exception that is raised again and again keeps all that it has seen alive."""
        return None if self.fault is None else Unavailable(self.fault, param="model", code=_CODE)


class Catalog:
    """Entries by name and alias, the default first. Whatever thread asks, an entry is exchanged as a whole."""

    def __init__(self, entries: Iterable[Entry], missing: Iterable[Wanted] = ()) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._names = {model_token(name): entry.name for entry in self for name in entry.names}
        self._missing = list(missing)

    @classmethod
    def load(cls, settings: Settings) -> Catalog:
        """Fetches the default model if need be; the others are taken as they are on this disk.

        Raises what store.fetch does, and Unavailable for a default model that cannot serve.
        """
        cache = settings.cache_dir
        first, *others = settings.wanted
        entries = [described(first, store.fetch(first.source, cache).folder)]
        missing = []
        for wanted in others:
            located = store.locate(wanted.source, cache)
            if located is None:
                missing.append(wanted)
            entries.append(_looked_at(wanted, located.folder) if located else _awaited(wanted))
        return cls(entries, missing)

    @property
    def default(self) -> Entry:
        return next(iter(self))

    def find(self, model: str | None) -> Entry:
        """By name or alias, compared as subjects are; None is the default. Raises NotFound."""
        if model is None:
            return self.default
        name = self._names.get(model_token(model))
        if name is None:
            sentence = (
                f"The model `{model[:200]}` does not exist here; there is {', '.join(self._entries)}. "
                f"Another worker's is asked by its own subject, {of_model(CHAT, model[:200])}."
            )
            raise NotFound(sentence, param="model", code="model_not_found")
        return self._entries[name]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def fetch_missing(self, cache: Path) -> None:
        """Bring the further models that are not on this disk. It may take hours, and never raises."""
        while self._missing:
            wanted = self._missing[0]
            self._entries[wanted.name] = _fetched(wanted, cache)
            del self._missing[0]


def _fetched(wanted: Wanted, cache: Path) -> Entry:
    try:
        entry = _looked_at(wanted, store.fetch(wanted.source, cache).folder)
    except LlmError as error:
        return _faulty(wanted, error.message)
    except Exception:
        log.exception("model_not_fetched", model=wanted.name)
        return _faulty(wanted, f"The model `{wanted.name}` could not be fetched; the worker's log says why.")
    log.info("model_fetched", model=wanted.name)
    return entry


def _awaited(wanted: Wanted) -> Entry:
    return _faulty(wanted, f"The model `{wanted.name}` is still being fetched; try again later.")


def _looked_at(wanted: Wanted, folder: Path) -> Entry:
    try:
        return described(wanted, folder)
    except LlmError as error:
        return _faulty(wanted, error.message)


def _faulty(wanted: Wanted, fault: str) -> Entry:
    log.warning("model_unavailable", model=wanted.name, reason=fault)
    return Entry(wanted.name, wanted.aliases, Path(wanted.source), preload=wanted.preload, fault=fault)


def described(wanted: Wanted, folder: Path) -> Entry:
    """What is in its folder. Raises Unavailable when that lacks what a model needs."""
    adapter = wanted.adapter and wanted.adapter.expanduser().absolute()
    size = _weights(wanted.name, folder) + (_adapter(wanted.name, adapter) if adapter else 0)
    return Entry(
        name=wanted.name,
        aliases=wanted.aliases,
        folder=folder,
        adapter=adapter,
        context=_context(wanted.name, folder / "config.json"),
        bytes=size,
        preload=wanted.preload,
        identity=identity.of(folder, *([adapter] if adapter else [])),
    )


def _context(name: str, path: Path) -> int:
    config = _json(name, path)
    for table in (config.get("text_config"), config):
        length = table.get("max_position_embeddings") if isinstance(table, dict) else None
        if isinstance(length, int) and length > 0:
            return length
    raise _unusable(name, f"{path} does not say how long its context is (max_position_embeddings)")


def _weights(name: str, folder: Path) -> int:
    sizes = [file.stat().st_size for file in folder.glob("model*.safetensors")]  # those that mlx_lm loads
    if not sizes:
        raise _unusable(name, f"{folder} has no weights (model*.safetensors)")
    return sum(sizes)


def _adapter(name: str, folder: Path) -> int:
    for file in _ADAPTER_FILES:
        if not (folder / file).is_file():
            raise _unusable(name, f"its adapter {folder} lacks {file}")
    return (folder / _ADAPTER_FILES[1]).stat().st_size


def _json(name: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise _unusable(name, f"{path} cannot be read as a JSON object")
    return found


def _unusable(name: str, why: str) -> Unavailable:
    return Unavailable(f"The model `{name}` cannot be served: {why}.", param="model", code=_CODE)
