"""The crawler's folder: what rests is taken, each file once, and nothing is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.spool import Spool
from schemas.errors import Unavailable


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_a_file_is_taken_when_it_has_not_changed_since_the_last_look(spool: Spool, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("1")
    assert spool.resting() == []
    file.write_text("12")
    assert spool.resting() == []
    assert spool.resting() == [file]
    spool.done(file)
    assert spool.resting() == []
    assert (tmp_path / "done" / "a.jsonl").read_text() == "12"


def test_what_took_its_name_meanwhile_stays_to_be_read(spool: Spool, tmp_path: Path) -> None:
    """Crawlers use names again, or go on writing; with `--wait` hours may lie between."""
    file = tmp_path / "a.jsonl"
    file.write_text("1")
    spool.resting()
    assert spool.resting() == [file]
    (tmp_path / "b").write_text("2")
    (tmp_path / "b").rename(file)
    assert not spool.done(file)
    assert not spool.failed(file, ["bad"])
    assert file.read_text() == "2"
    assert list((tmp_path / "done").iterdir()) == list((tmp_path / "failed").iterdir()) == []
    spool.resting()
    assert spool.resting() == [file]
    assert spool.done(file)
    assert not spool.done(file)  # it is not there any more


def test_only_what_is_meant(spool: Spool, tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.ndjson", ".hidden.jsonl", "c.jsonl.part", "d.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.jsonl").mkdir()
    spool.resting()
    assert names(spool.resting()) == ["b.jsonl", "a.ndjson"]  # in the order in which they were written


def test_names_may_come_again(spool: Spool, tmp_path: Path) -> None:
    for text in "123":
        (tmp_path / "a.jsonl").write_text(text)
        spool.resting()
        assert spool.failed(tmp_path / "a.jsonl", [f"wrong {text}", "worse"])
    found = {file.name: file.read_text() for file in (tmp_path / "failed").iterdir()}
    assert found == {
        "a.jsonl": "1",
        "a.jsonl.errors": "wrong 1\nworse\n",
        "a.jsonl.2": "2",
        "a.jsonl.2.errors": "wrong 2\nworse\n",
        "a.jsonl.3": "3",
        "a.jsonl.3.errors": "wrong 3\nworse\n",
    }


def test_one_at_a_time(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"Another `nats-mlx publish --watch` is at work in "):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()
