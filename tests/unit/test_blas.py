"""Which OpenBLAS is taken, and that MLX's own calls really end there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.engine import blas

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS has Accelerate")


@on_linux
def test_mlx_multiplies_with_openblas(tmp_path: Path) -> None:
    """The dynamic linker's own record, from a fresh process: a timing would depend on the machine's load."""
    code = "import worker.engine, mlx.core as mx; mx.eval(mx.ones((64, 64)) @ mx.ones((64, 64)))"
    trace = {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(tmp_path / "bindings")}
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **trace}, check=True)
    lines = [line for file in tmp_path.iterdir() for line in file.read_text(errors="replace").splitlines()]
    bound = [line for line in lines if "libmlx.so" in line and "`cblas_sgemm'" in line]
    assert bound
    assert all("openblas" in line.partition(" to ")[2] for line in bound)


@on_linux
@pytest.mark.parametrize(("cores", "threads"), [({0}, "1"), ({0, 1}, "1"), (set(range(8)), "7")])
def test_one_core_is_left_to_the_others(
    monkeypatch: pytest.MonkeyPatch, cores: set[int], threads: str
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores)
    blas.preload()
    assert os.environ["OPENBLAS_NUM_THREADS"] == threads


@on_linux
def test_a_number_of_threads_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    blas.preload()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


@on_linux
def test_preload_says_where_the_library_came_from() -> None:
    library = blas.preload()
    assert library is not None
    assert "openblas" in library
    assert library == blas.preload()


@on_linux
def test_the_packaged_library_comes_before_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "find_library", lambda name: f"/system/lib{name}.so")
    assert "cmeel.prefix" in str(blas.preload())


@on_linux
def test_the_systems_library_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(library: str) -> bool:
        loaded.append(library)
        return True

    monkeypatch.setattr(blas, "_installed", lambda package, file: None)
    monkeypatch.setattr(blas, "find_library", lambda name: f"lib{name}.so.0")
    monkeypatch.setattr(blas, "_load", load)
    assert blas.preload() == "libopenblas.so.0"
    assert loaded == ["libopenblas.so.0"]


@on_linux
@pytest.mark.parametrize("system", [None, "libopenblas-that-does-not-exist.so.0"])
def test_no_openblas_is_no_error(monkeypatch: pytest.MonkeyPatch, system: str | None) -> None:
    monkeypatch.setattr(blas, "_installed", lambda package, file: None)
    monkeypatch.setattr(blas, "find_library", lambda name: system)
    assert blas.preload() is None


def test_macos_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(blas, "_load", lambda library: pytest.fail(f"loaded {library}"))
    assert blas.preload() is None
