"""What articles get while there is chat, over all models."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from worker.engine import pace
from worker.engine.pace import Pace


class Device:
    """Steps of one second each."""

    def __init__(self, share: float) -> None:
        self.now = 0.0
        self.pace = Pace(share, lambda: self.now)

    def steps(self, rounds: int, awaited: str, others: str) -> str:
        """Who makes them, in so many rounds."""
        made = ""
        for _ in range(rounds):
            for name in self.pace.turns(awaited, others):
                self.now += 1
                made += name
        return made


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_models_that_nobody_waits_for_have_their_share_of_the_time(share: float) -> None:
    made = Device(share).steps(200, "a", "b")
    # Not more than one step in a round: beyond one half the share is out of reach.
    assert made.count("b") / len(made) == pytest.approx(min(share, 0.5), abs=0.01)


def test_a_share_of_nothing_is_nothing() -> None:
    assert Device(0).steps(5, "a", "b") == "aaaaa"


def test_all_that_have_chat_take_turns() -> None:
    assert Device(0).steps(3, "ad", "") == "adadad"


def test_nothing_is_owed_from_before() -> None:
    device = Device(0.1)
    device.steps(100, "a", "")
    assert device.steps(8, "a", "b").count("b") <= 1


def test_chat_is_live_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: now))
    one = Pace(0.1, lambda: 0.0)
    assert not one.live
    one.heard()
    for seconds, live in ((0, True), (9.9, True), (0.2, False)):
        now += seconds
        assert one.live is live
