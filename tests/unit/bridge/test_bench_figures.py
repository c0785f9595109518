"""Medians, ratios and whose turn it is: the parts of a benchmark that need no machine."""

from __future__ import annotations

import json
import os
from collections import Counter

import msgspec
import pytest

from bridge.bench import figures, processes, soak, texts, tune
from bridge.bench.figures import Figure, Goal, Series, at_least, at_most
from bridge.bench.machine import Machine, machine, versions
from bridge.bench.report import Report
from bridge.cli import reports
from schemas.articles import Article
from schemas.errors import EngineFailed

MACHINE = Machine("Some CPU", 2, 23.5, "Linux", 0.1)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # the machine was ten times slower in the second round: the ratio does not feel it
    found = figures.ratio("ours ÷ theirs", [20, 2, 30], [10, 1, 10], at_least(2))
    assert found.values == [2, 2, 3]
    assert found.value == 2
    assert found.met


def test_one_lucky_round_is_no_figure() -> None:
    assert figures.ratio("", [1, 1, 9], [2, 2, 2], at_least(1)).met is False


def test_rounds_without_a_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figures.ratio("", [1, 2], [1])


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (at_least(1.3), 1.3, True),
        (at_least(1.3), 1.29, False),
        (at_most(3), 3, True),
        (at_most(3), 3.1, False),
    ],
)
def test_a_bound_itself_is_within(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def test_a_figure_without_a_goal_is_neither_reached_nor_missed() -> None:
    assert Figure("", 1, []).met is None


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 2.5), (100, 4.0), (95, 3.85)])
def test_a_percentile_lies_between_its_neighbours(percent: float, value: float) -> None:
    assert figures.percentile([4, 1, 3, 2], percent) == pytest.approx(value)


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert figures.percentile([7], 95) == 7


def test_each_way_is_first_once() -> None:
    ways = ["house", "a", "b"]
    turns = [figures.rotated(ways, turn) for turn in range(4)]
    assert turns[0] == turns[3] == ways
    assert [turn[0] for turn in turns[:3]] == ways
    assert all(sorted(turn) == sorted(ways) for turn in turns)


def test_nobody_can_take_a_turn_where_there_is_nobody() -> None:
    assert figures.rotated([], 3) == []


def test_the_median_of_an_even_number_lies_between() -> None:
    assert Series("", "s", [1.0, 2.0, 4.0, 8.0]).median == 3


def test_the_smallest_setting_that_is_fast_enough_is_the_best() -> None:
    assert tune.best({1: [5.0], 8: [9.9], 16: [10.0], 32: [9.0]}) == 8
    assert tune.best({8: [9.0, 9.1, 20.0], 16: [10.0, 10.1, 1.0]}) == 16


ARTICLES = [Article(title="A", body="a"), Article(title="B", body="b")]


def test_texts_never_repeat_however_many_are_wanted(tmp_path) -> None:
    file = tmp_path / "articles.jsonl"
    file.write_text("".join(json.dumps({"title": one.title, "body": one.body}) + "\n\n" for one in ARTICLES))
    found = texts.load(file, 5)
    assert [one.title for one in found] == ["A", "B", "A", "B", "A"]
    assert len({one.body for one in found}) == 5
    assert texts.load(file, None) == ARTICLES


def test_without_a_file_there_are_samples() -> None:
    assert len(texts.load(None, 3)) == 3


def test_names_and_marks_leave_the_rest_alone() -> None:
    named = texts.named(texts.marked(ARTICLES, "x1"), "run")
    assert [one.id for one in named] == ["run-00001", "run-00002"]
    assert [one.body for one in named] == ["a [x1]", "b [x1]"]
    assert ARTICLES[0].id is None


PROCESSES = """\
    1  11  900 /usr/bin/python -P -m worker
  100  12 2048 /usr/bin/python -P -m worker
  100  13 1024 /usr/bin/python -P -m bridge.app
  100  14   64 nats-server -c nats.conf
"""


def test_only_this_houses_processes_are_weighed() -> None:
    found = processes.children(PROCESSES.splitlines(), 100)
    assert found == {"worker": (12, 2**21), "bridge": (13, 2**20)}


def test_a_process_that_is_gone_is_told() -> None:
    with pytest.raises(EngineFailed, match="bridge"):
        processes.children(PROCESSES.splitlines()[:2], 100)


async def test_open_files_are_counted() -> None:
    before = await processes.descriptors(os.getpid())
    pipe = os.pipe()
    assert await processes.descriptors(os.getpid()) == before + 2
    for end in pipe:
        os.close(end)


def test_a_listing_of_lsof_has_more_than_open_files() -> None:
    assert processes.numbered("p123\nfcwd\nftxt\nf0\nf1\nf12\n") == 3


def _look(minute: float, worker: float, files: int = 9) -> soak.Look:
    return soak.Look(
        minute * 60, {"worker": worker, "bridge": 50.0}, {"worker": files, "bridge": 7}, 64.0 * processes.MB
    )


def test_a_soak_compares_what_comes_after_the_warm_up() -> None:
    looks = [_look(1, 10.0, 3), _look(5, 100.0), _look(7, 300.0), _look(9.5, 101.0, 11)]
    wanted = soak.Wanted([], minutes=10, warm_up=4)
    found = soak.report(wanted, looks, Counter(chats=3), Counter({"pages": 1}))
    assert {figure.name: (figure.value, figure.met) for figure in found.figures} == {
        "requests that failed": (1, False),
        "worker's memory, end ÷ after the warm-up": (1.01, True),
        "worker's descriptors, more at the end": (2, False),
        "bridge's memory, end ÷ after the warm-up": (1.0, True),
        "bridge's descriptors, more at the end": (0, True),
    }
    kept = [one.values for one in found.series if one.name.startswith("worker's kept prompts")]
    assert kept == [[64.0], [64.0]]
    with pytest.raises(EngineFailed, match="too short"):
        soak.report(wanted, looks[:2], Counter(), Counter())


REPORT = Report(
    "queue",
    {"articles": 3, "free": None},
    [Series("house", "articles/min", [14.0, 16.0, 15.0])],
    [
        Figure("ours ÷ a", 1.4, [1.4, 1.3, 1.5], at_least(1.3)),
        Figure("ours ÷ b", 1.1, [1.1], at_least(1.5)),
        Figure("wall", 12345.6, []),
    ],
    ["free text"],
    MACHINE,
    {"python": "3.11.7"},
)


def test_a_report_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    reports.show(REPORT)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Some CPU, 2 cores, 23.5 GiB, load 0.1" in lines
    assert "articles 3" in lines
    assert "house 15 14 16 3 articles/min" in lines
    assert "ours ÷ a 1.400 at least 1.3 reached" in lines
    assert "ours ÷ b 1.100 at least 1.5 missed" in lines
    assert "wall 12,346" in lines
    assert "- free text" in lines


def test_a_report_is_json_for_programs() -> None:
    assert msgspec.json.decode(msgspec.json.encode(REPORT), type=Report) == REPORT
    assert REPORT.figure("ours ÷ b").met is False


def test_a_report_says_where_it_was_made() -> None:
    here = machine()
    assert here.cpu
    assert here.cores >= 1
    assert here.memory_gib > 0
    found = versions()
    assert {"python", "nats-mlx", "mlx", "mlx-lm", "nats-server"} <= set(found)
    assert all(version[:1].isdigit() for version in found.values()), found
