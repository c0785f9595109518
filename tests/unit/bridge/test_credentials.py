"""Passwords are made once, kept whatever happens, and readable by their owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import credentials
from schemas.errors import Unavailable

HASH = "$2a$11$" + "x" * 53


def test_each_user_gets_a_password_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    first = credentials.ensure(tmp_path)
    again = credentials.ensure(tmp_path)
    passwords = [first.password(user) for user in credentials.USERS]
    assert len(set(passwords)) == 4
    assert min(map(len, passwords)) >= 32
    assert [again.password(user) for user in credentials.USERS] == passwords
    assert credentials.path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["credentials.env"]


def test_what_stands_there_is_kept_and_the_rest_is_added(tmp_path: Path) -> None:
    file = credentials.path(tmp_path)
    file.write_text("# mine\nexport WORKER_PASSWORD='a b'\nOTHER=1")
    file.chmod(0o644)
    made = credentials.ensure(tmp_path)
    assert made.password("worker") == "a b"
    assert file.read_text().startswith("# mine\nexport WORKER_PASSWORD='a b'\nOTHER=1\nPUBLISHER_PASSWORD=")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_whole_file_that_others_may_read_is_closed(tmp_path: Path) -> None:
    credentials.ensure(tmp_path)
    credentials.path(tmp_path).chmod(0o644)
    credentials.ensure(tmp_path)
    assert credentials.path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_the_server_gets_quotes_inside_the_value(tmp_path: Path) -> None:
    credentials.path(tmp_path).write_text(f'WORKER_PASSWORD=1"2\nBRIDGE_PASSWORD={HASH}\n')
    env = credentials.ensure(tmp_path).server_env()
    assert env["WORKER_PASSWORD"] == '"1\\"2"'
    assert env["BRIDGE_PASSWORD"] == f'"{HASH}"'
    assert len(env) == 4


def test_a_hash_is_for_the_server_alone(tmp_path: Path) -> None:
    credentials.path(tmp_path).write_text(f"BRIDGE_PASSWORD={HASH}\n")
    with pytest.raises(Unavailable, match="bcrypt hash"):
        credentials.ensure(tmp_path).password("bridge")


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    credentials.path(tmp_path).write_text("A=1\nnonsense\n")
    with pytest.raises(Unavailable, match=r"credentials\.env:2"):
        credentials.ensure(tmp_path)
