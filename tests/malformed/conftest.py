"""How many, and which: `pytest -n 0 tests/malformed --requests 10000 --nonsense 7`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--requests", type=int, default=None, help="malformed requests to throw")
    parser.addoption("--nonsense", type=int, default=None, help="seed of what is thrown")
