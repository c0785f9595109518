"""Loading a model, as a person sees it and as a log does."""

from __future__ import annotations

import io
import sys

import pytest

from worker.engine import weights
from worker.engine.catalog import Entry


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_for_a_terminal(entry: Entry, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    loaded = weights.load(entry, trust_remote_code=False)
    assert loaded.nbytes > 500e6
    said = screen.getvalue()
    assert (f"{entry.name}: " in said and "%|" in said) if terminal else said == ""
