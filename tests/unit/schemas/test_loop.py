"""Both processes run on uvloop where it is installed, and without it as well; so does what they are compared with."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from bridge.cli import bench
from schemas.runtime import loop
from worker.bench import helper


async def name_and_value() -> tuple[str, int]:
    return loop.name(), await asyncio.sleep(0, 7)


async def failing() -> None:
    raise ValueError("its own")


def test_with_it() -> None:
    pytest.importorskip("uvloop")
    assert loop.run(name_and_value()) == ("uvloop", 7)


def test_a_benchmark_and_its_helper_run_on_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    assert bench._run(lambda say: name_and_value()) == ("uvloop", 7)
    served: list[str] = []

    async def serve(settings: object, answers: object) -> None:
        served.append(loop.name())

    monkeypatch.setattr(helper, "_serve", serve)
    monkeypatch.setattr(helper, "_own_stdout", io.BytesIO)
    monkeypatch.setattr(helper.logs, "setup", lambda level, form: None)
    helper.main()
    assert served == ["uvloop"]


def test_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop.run(name_and_value()) == ("asyncio", 7)


def test_errors_are_the_callers() -> None:
    with pytest.raises(ValueError, match="its own"):
        loop.run(failing())
