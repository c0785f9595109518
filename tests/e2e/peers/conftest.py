"""One client for all that others ask; README.md says which of their tests is which of ours."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.e2e import sdk as chats
from tests.e2e.conftest import House


@pytest.fixture(scope="session")
def sdk(house: House) -> Iterator[openai.OpenAI]:
    with chats.client(house) as opened:
        yield opened
