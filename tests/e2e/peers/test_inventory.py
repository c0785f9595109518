"""README.md says which of others' tests is which of ours: its sums are of its rows, and what it names is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

TEXT = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
TESTS = Path(__file__).parents[2]
ROW = re.compile(r"^\| test_\w+ \| (holds|differs|no) \| (.+) \|$", re.M)
SUM = re.compile(r"^\| (.+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.M)


def test_the_sums_are_of_the_rows() -> None:
    sums = {name: [int(number) for number in numbers] for name, *numbers in SUM.findall(TEXT)}
    counted = {}
    for section in TEXT.split("\n## ")[1:]:
        found = Counter(verdict for verdict, _ in ROW.findall(section))
        kinds = [found[verdict] for verdict in ("holds", "differs", "no")]
        counted[section.partition("\n")[0]] = [sum(kinds), *kinds]
    assert sums == counted


def test_what_holds_is_tried_here() -> None:
    for verdict, where in ROW.findall(TEXT):
        if verdict == "holds":
            file, name = re.findall(r"`([^`]+)`", where)
            assert re.search(rf"^ *(async )?def {name}\(", (TESTS / file).read_text(), re.M), where
