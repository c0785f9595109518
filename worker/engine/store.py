"""Where models are on this disk, and how one gets there: what is local already never asks the network."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

from schemas.errors import NotFound, Unavailable
from worker.engine import starter
from worker.wanted import Wanted, canonical, is_path, name_of

_FILES = ["*.json", "*.safetensors", "*.py", "*.model", "*.tiktoken", "*.txt", "*.jinja"]


@dataclass(frozen=True, slots=True)
class Located:
    """A model on this disk."""

    name: str
    aliases: tuple[str, ...]
    folder: Path


def locate(source: str, cache: Path) -> Located | None:
    """Find a model without the network: a folder, the starter model, or a repository fetched before."""
    folder = _folder(canonical(source), cache)
    return Located(*name_of(source), folder) if folder else None


def _folder(name: str, cache: Path) -> Path | None:
    if is_path(name):
        folder = Path(name).expanduser().resolve()
        return folder if (folder / "config.json").is_file() else None
    if name == starter.NAME:
        folder = starter.path(cache)
        return folder if folder.is_dir() else None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return None


def fetch(name: str, cache: Path) -> Located:
    """Find a model, downloading it if need be, with progress on stderr.

    Raises NotFound when there is no such model, Unavailable when it cannot be had now.
    """
    if (located := locate(name, cache)) is not None:
        return located
    own = canonical(name)
    if is_path(own):
        raise NotFound(f"There is no model folder with a config.json at {own}.", code="model_not_found")
    if own == starter.NAME:
        starter.fetch(cache)
    else:
        _fetch_from_hub(own)
    located = locate(name, cache)
    assert located is not None  # both ways of fetching raise unless the folder is complete
    return located


def _fetch_from_hub(name: str) -> None:
    try:
        huggingface_hub.snapshot_download(name, allow_patterns=_FILES)
    except GatedRepoError:
        raise Unavailable(
            f"The Hugging Face hub gives {name} only to those who accepted its terms: accept them on its page "
            "and set HF_TOKEN.",
            code="model_unavailable",
        ) from None
    except RepositoryNotFoundError:
        raise NotFound(
            f"The Hugging Face hub has no model {name}; check the name.", code="model_not_found"
        ) from None
    except (OSError, ValueError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        reason = (
            f"Model {name} is not on this disk and the hub cannot be reached{offline}; try `--model starter`."
        )
        raise Unavailable(reason, code="model_unavailable") from error


def local(wanted: Iterable[Wanted], cache: Path) -> list[Located]:
    """Every model on this disk that the worker could serve: the configured ones by their names there, then others."""
    found = [
        Located(one.name, one.aliases, located.folder)
        for one in wanted
        if (located := locate(one.source, cache)) is not None
    ]
    known = {located.folder for located in found}
    others = [locate(name, cache) for name in (starter.NAME, *_hub_models())]
    return found + [located for located in others if located is not None and located.folder not in known]


def _hub_models() -> list[str]:
    try:
        repos = huggingface_hub.scan_cache_dir().repos
    except huggingface_hub.errors.CacheNotFound:
        return []
    return sorted(repo.repo_id for repo in repos if repo.repo_type == "model")
