"""In any company every answer is the one that its prompt gets alone, token for token, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fidelity.asking import engine_of
from tests.fidelity.measuring import measure
from tests.fidelity.prompts import PROMPTS
from tests.fidelity.reference import Reference


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("width", [1, 4, 16, 32])
async def test_an_answer_in_company_is_the_answer_alone(
    folder: Path, reference: Reference, width: int, record_property: Callable[[str, object], None]
) -> None:
    assert len(PROMPTS) >= 100
    async with engine_of(folder, width) as ask:
        measured = await measure(ask, PROMPTS, reference)
    record_property("fidelity", str(measured))
    assert measured.equal >= 0.99 * len(PROMPTS), measured
    assert not measured.unexplained, measured
    assert not measured.strangers, measured
    # Else the search for strange markers would prove nothing.
    assert measured.own >= 0.4 * len(PROMPTS), measured
