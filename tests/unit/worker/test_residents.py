"""What MLX is told, and tells, of its memory; there is no model yet."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.app import shape_of
from worker.engine.catalog import Catalog
from worker.engine.counters import Counters
from worker.engine.engine import Engine
from worker.engine.models import Models
from worker.engine.pace import Pace
from worker.engine.residents import Residents
from worker.engine.shape import Shape
from worker.settings import Settings

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)


NONE = Catalog([])


@pytest.fixture
def shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shape:
    monkeypatch.setenv("NATS_MLX_CONFIG", "/dev/null")
    return shape_of(Settings.load(cache_dir=tmp_path, wired_limit=False))


@pytest.mark.parametrize(("metal", "most"), [(True, 512 * 2**20), (False, 7)])
def test_on_a_gpu_what_was_freed_has_a_bound(
    metal: bool, most: int, shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mx.metal, "is_available", lambda: metal)
    usual = mx.set_cache_limit(7)
    try:
        Residents(Models(NONE, shape), shape, Counters(), Pace(0, float)).open()
        assert mx.set_cache_limit(usual) == most
    finally:
        mx.set_cache_limit(usual)


def test_what_is_held_is_in_use_or_freed(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "get_active_memory", lambda: 5)
    monkeypatch.setattr(mx, "get_cache_memory", lambda: 7)
    assert Engine(NONE, shape).memory_bytes() == 12


@pytest.mark.parametrize(
    ("first_token_awaited", "stepping"), [(True, ["asked", "talking"]), (False, ["talking", "reading"])]
)
def test_an_awaited_first_token_holds_back_articles_and_nobody_who_talks(
    first_token_awaited: bool, stepping: list[str], shape: Shape
) -> None:
    residents = Residents(Models(NONE, shape), shape, Counters(), Pace(0, float))
    for name in ("asked", "talking", "reading"):
        asked = name == "asked"
        batch = SimpleNamespace(
            busy=first_token_awaited or not asked, awaited=asked, has_chat=name != "reading"
        )
        residents._here[name] = cast(Any, SimpleNamespace(batch=batch))
    assert [name for name, _ in residents.at_work()] == stepping
