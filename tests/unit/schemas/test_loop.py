"""Both processes run on uvloop where it is installed, and without it as well."""

from __future__ import annotations

import asyncio
import sys

import pytest

from schemas.runtime import loop


async def name_and_value() -> tuple[str, int]:
    return loop.name(), await asyncio.sleep(0, 7)


async def failing() -> None:
    raise ValueError("its own")


def test_with_it() -> None:
    pytest.importorskip("uvloop")
    assert loop.run(name_and_value()) == ("uvloop", 7)


def test_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop.run(name_and_value()) == ("asyncio", 7)


def test_errors_are_the_callers() -> None:
    with pytest.raises(ValueError, match="its own"):
        loop.run(failing())
