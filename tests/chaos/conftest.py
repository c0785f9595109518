"""Options of a run by hand: `pytest -n 0 tests/chaos --seed 7 --long`, and a house for each test."""

from __future__ import annotations

import gc
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos.house import House, opened


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--seed", type=int, help="repeat the faults of a run that printed this seed")
    group.addoption(
        "--long", action="store_true", help="the figures that take minutes, instead of the short run"
    )
    group.addoption("--articles", type=Path, help="JSON Lines for the run with the starter model")
    group.addoption("--take", type=int, help="so many of --articles")


def pytest_itemcollected(item: pytest.Item) -> None:
    """nats-py leaves the sockets of its lost connections to the garbage collector, which complains."""
    item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


def option(config: pytest.Config, name: str) -> object:
    """None in a run of everything, which reads this file too late for options."""
    return config.getoption(name, default=None)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    chosen = option(request.config, "--seed")
    found = chosen if isinstance(chosen, int) else random.SystemRandom().randrange(1_000_000)
    print(f"\nchaos seed {found}: repeat with --seed {found}")
    return found


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as found:
        yield found
    gc.collect()  # here, where nobody minds
