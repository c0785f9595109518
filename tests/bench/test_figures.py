"""The figures that the project has promised, each as a ratio taken side by side; one file, so one after another."""

from __future__ import annotations

import pytest

from bridge.bench.report import Report
from tests.bench.conftest import Bench

pytestmark = pytest.mark.timeout(0)  # hours


def reached(report: Report, *names: str) -> None:
    """These figures, each within its goal."""
    found = {name: report.figure(name) for name in names}
    missed = {name: figure.value for name, figure in found.items() if not figure.met}
    assert not missed


def test_the_queue_beside_the_batch_generator(bench: Bench, articles: list[str]) -> None:
    report = bench("queue", *articles, "--baselines", "a,a+prefix", "--again")
    again = "the same again under new ids"
    reached(report, "ours ÷ a", "ours ÷ a+prefix", f"{again}: seconds", f"{again}: model tokens")


def test_free_text_beside_a_server_of_mlx_lm(bench: Bench, articles: list[str]) -> None:
    report = bench("queue", *articles, "--baselines", "b,c,unshared", "--free", "48")
    reached(report, "ours ÷ b", "ours ÷ c")


def test_a_chat_beside_a_full_queue(bench: Bench, articles: list[str]) -> None:
    report = bench("mixed", *articles)
    kinds = ("in pace", "unexpected")
    for kind in kinds:
        tries = next(one for one in report.series if one.name == f"first token, {kind}")
        assert len(tries.values) >= 20, "too few articles for a figure"
    figures = [f"first token, {kind}: p95 ÷ idle p95" for kind in kinds]
    reached(report, *figures, "steps/s, 16 guided rows ÷ 16 free rows")


def test_the_way_of_one_chat(bench: Bench) -> None:
    reached(bench("chat", repeated=False), "wall, NATS ÷ in process", "wall, bridge ÷ in process")


def test_the_bridge_beside_plain_nats(bench: Bench) -> None:
    reached(bench("bridge"), "chunks/s, bridge ÷ nats-py")


def test_a_thousand_articles_leave_nothing_behind(bench: Bench, articles: list[str]) -> None:
    file = [one for one in articles[:1] if not one.startswith("--")]
    reached(bench("worn", *file, repeated=False), "worker, after 1000 ÷ after 200")


def test_an_hour_of_mixed_load_leaves_nothing_behind(bench: Bench, articles: list[str]) -> None:
    file = [one for one in articles[:1] if not one.startswith("--")]
    report = bench("soak", *file, repeated=False)
    reached(report, *(figure.name for figure in report.figures))


def test_waiting_articles_take_no_memory(bench: Bench, articles: list[str]) -> None:
    file = [one for one in articles[:1] if not one.startswith("--")]
    report = bench("memory", *file, repeated=False)
    reached(report, "worker, 10000 wait ÷ 10 wait", "bridge, 10000 wait ÷ 10 wait")
