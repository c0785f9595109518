"""The models that people ask for in the settings, and the names under which each one answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.subjects import answers_to, model_token

STARTER: Final = "smollm2-135m-instruct"
_ALIASES: Final = {"starter": STARTER}

Name = Annotated[str, Field(min_length=1)]


class ModelSettings(BaseModel):
    """One further model, `[worker.models.<name>]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Name | None = None  # a hub repository, a folder, or `starter`; the table's own name if left out
    aliases: tuple[Name, ...] = ()
    adapter: Path | None = None  # a LoRA adapter's folder, as mlx_lm writes it
    preload: bool = False  # load it at start


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model to be served; `source` says where it is from. The name comes first in `names`."""

    name: str
    aliases: tuple[str, ...]
    source: str
    adapter: Path | None = None
    preload: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.name, *self.aliases

    def answers_to(self, model: str) -> bool:
        return answers_to(self.names, model)


def canonical(source: str) -> str:
    return _ALIASES.get(source, source)


def is_path(source: str) -> bool:
    return source.startswith((".", "/", "~"))


def name_of(source: str) -> tuple[str, tuple[str, ...]]:
    """What a model is called when nobody gave it another name, and its aliases."""
    own = canonical(source)
    name = Path(own).expanduser().resolve().name if is_path(own) else own
    return name, tuple(alias for alias, target in _ALIASES.items() if target == own)


def wanted(default: str, preload: bool, further: Mapping[str, ModelSettings]) -> tuple[Wanted, ...]:
    """All models, the default first: an entry of the further ones, or one more.

    Raises ValueError when two of them would answer to the same name.
    """
    entries = [_entry(name, model) for name, model in further.items()]
    chosen = next((entry for entry in entries if entry.answers_to(default)), None)
    others = tuple(entry for entry in entries if entry is not chosen)
    if chosen is None:
        chosen = Wanted(*name_of(default), default)
    found = (replace(chosen, preload=preload or chosen.preload), *others)
    _check(found)
    return found


def _entry(name: str, model: ModelSettings) -> Wanted:
    own, known = name_of(name) if model.path is None else (name, ())
    unique = {model_token(own): own}
    for alias in (*known, *model.aliases):
        unique.setdefault(model_token(alias), alias)
    _, *aliases = unique.values()
    return Wanted(own, tuple(aliases), model.path or name, model.adapter, model.preload)


def _check(models: Iterable[Wanted]) -> None:
    """Compared as subjects are: there `Qwen2.5` and `qwen2-5` are the same."""
    owners: dict[str, Wanted] = {}
    for model in models:
        for name in model.names:
            other = owners.setdefault(model_token(name), model)
            if other is not model:
                raise ValueError(
                    f"{other.name} and {model.name} would both answer to `{name}`; rename one of them"
                )
