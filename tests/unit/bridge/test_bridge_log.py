"""One pipe for all logs: JSON lines to stderr, ours and the libraries' alike."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from schemas.runtime import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("aiohttp.access").disabled = False


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_ours_and_a_librarys_line_look_alike(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "auto")
    log.get("bridge.x").info("done", seconds=1.5, text="비트\n")
    log.get("bridge.x").debug("unseen")
    logging.getLogger("aiohttp.server").warning("odd %s", "thing")
    logging.getLogger("aiohttp.access").warning("a second line")
    ours, theirs = _lines(capsys)
    assert (ours["event"], ours["seconds"], ours["text"]) == ("done", 1.5, "비트\n")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("odd thing", "warning", "aiohttp.server")
    assert set(theirs) <= set(ours)


def test_a_traceback_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "json")
    try:
        raise ValueError("inside")
    except ValueError:
        log.get("bridge.x").exception("failed")
    (line,) = _lines(capsys)
    assert "inside" in str(line["exception"])


def test_the_console_form_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("debug", "console")
    log.get("bridge.x").debug("hello", who="you")
    err = capsys.readouterr().err
    assert "hello" in err
    assert "{" not in err
    assert "\x1b" not in err


def test_nothing_in_a_value_speaks_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "console")
    log.get("bridge.x").info("request", path="/\x1b[2J\x9b2J\nroot logged in\r", model="비트")
    (line,) = capsys.readouterr().err.splitlines()
    assert "root logged in" in line
    assert not set("\x1b\x9b\r") & set(line)
    assert "비트" in line
