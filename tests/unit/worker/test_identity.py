"""Two models of one name are told apart by their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.engine import identity


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(10))
    return folder


def test_it_stays_as_long_as_the_files_do(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    before = identity.of(folder)
    (folder / ".DS_Store").write_text("made by looking at it")
    assert identity.of(folder) == before


def test_weights_written_anew_in_the_same_size_are_others(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    before = identity.of(folder)
    stat = (folder / "model.safetensors").stat()
    os.utime(folder / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert identity.of(folder) != before


def test_a_file_more_makes_another_model(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    before = identity.of(folder)
    (folder / "chat_template.jinja").write_text("")
    assert identity.of(folder) != before


def test_an_adapter_makes_another_model_and_so_does_another_adapter(tmp_path: Path) -> None:
    folder, one, two = (model(tmp_path / name) for name in ("m", "one", "two"))
    os.utime(two / "config.json", ns=(0, 0))
    assert len({identity.of(folder), identity.of(folder, one), identity.of(folder, two)}) == 3


def test_the_same_snapshot_on_two_machines_is_the_same_model(tmp_path: Path) -> None:
    """As the hub's cache has it: links to files that are called as what is in them."""
    found = []
    for machine, moment in (("a", 1), ("b", 2)):
        blob = tmp_path / machine / "blobs" / "5f3c"
        snapshot = tmp_path / machine / "snapshots" / "main"
        for folder in (blob.parent, snapshot):
            folder.mkdir(parents=True)
        blob.write_bytes(bytes(10))
        os.utime(blob, (moment, moment))
        (snapshot / "model.safetensors").symlink_to(blob)
        found.append(identity.of(snapshot))
    assert found[0] == found[1]


def test_another_release_computes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model(tmp_path / "m")
    before = identity.of(folder)
    monkeypatch.setattr(identity, "_code", lambda: ("another",))
    assert identity.of(folder) != before
