"""Where an `up` lives: its folder, which has one user, its ports, and the last words of its programs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.up import folder as folders
from bridge.up import ports
from bridge.up.child import last_line
from bridge.up.folder import Folder, Running
from schemas.errors import Unavailable


def test_a_folder_has_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Folder(tmp_path / "d")
    first.announce(Running(os.getpid(), "nats://x", "http://x"))
    with pytest.raises(Unavailable, match=rf"pid {os.getpid()}.*--data-dir"):
        Folder(tmp_path / "d")
    assert folders.running(tmp_path / "d") == Running(os.getpid(), "nats://x", "http://x")
    first.close()
    assert folders.running(tmp_path / "d") is None
    Folder(tmp_path / "d").close()


def test_the_note_of_a_dead_up_does_not_count(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "up.json").write_text(f'{{"pid":{gone.pid},"nats_url":"a","bridge_url":"b"}}')
    assert folders.running(tmp_path) is None


def test_the_note_of_an_up_whose_pid_is_anothers_does_not_count(tmp_path: Path) -> None:
    """After a power cut it is still there, and the pids begin anew."""
    note = Running(os.getpid(), "nats://x", "http://x")
    first = Folder(tmp_path)
    first.announce(note)
    os.close(first.lock)  # as its death does
    assert folders.running(tmp_path) is None
    Folder(tmp_path).close()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="choose another with --data-dir"):
        Folder(tmp_path / "file")


def test_a_taken_port_is_told_and_free_ones_differ() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"Port {port} .* --port"):
            ports.choose(("127.0.0.1", port, "--port"))
    one, two = ports.choose(("127.0.0.1", 0, "a"), ("127.0.0.1", 0, "b"))
    assert one != two
    assert ports.choose(("127.0.0.1", one, "a")) == [one]
    with pytest.raises(Unavailable):
        ports.choose(("127.0.0.1", one, "a"), ("127.0.0.1", one, "b"))


def test_the_last_line_is_found_in_any_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text, line in [
        ("", "it said nothing"),
        ("a\nb\n\n", "b"),
        ('a\n{"event": "stopped", "reason": "no port"}\n', "no port"),
        ('{"event": "stopped"}', "stopped"),
    ]:
        log.write_text(text)
        assert last_line(log) == line
