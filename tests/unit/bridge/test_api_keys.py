"""The file of keys: hashes only, private, seen at once when it changes, and closed when it is broken."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from bridge import app, cli, keys
from bridge.keys import KeyFile, Scope
from bridge.settings import Settings
from schemas.errors import BadRequest, BadSettings, NotFound, Unavailable


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data" / "keys.json")


def add(file: KeyFile, name: str = "nas") -> str:
    token, key = keys.make(name, [Scope.CHAT, Scope.BATCH, Scope.CHAT], rpm=5)
    file.add(key)
    return token


def test_a_key_is_found_by_its_token_and_kept_as_a_hash(file: KeyFile) -> None:
    token = add(file)
    found = file.find(token)
    assert found is not None
    assert (found.name, found.scopes, found.rpm, found.tpm) == ("nas", ("chat", "batch"), 5, None)
    text = file.file.read_text()
    assert token not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert file.file.stat().st_mode & 0o777 == 0o600
    assert len(token) > 40
    for wrong in ("", token[:-1], token + "x", token.upper(), found.sha256, "nas", "\udcff"):
        assert file.find(wrong) is None


def test_another_process_sees_a_change_at_once(file: KeyFile) -> None:
    bridge = KeyFile(file.file)
    assert bridge.all() == []
    first, second = add(file, "one"), add(file, "two")
    assert bridge.find(first) is not None
    file.remove("one")
    assert bridge.find(first) is None
    assert bridge.find(second) is not None
    file.file.unlink()
    assert bridge.all() == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"keys":[{"name":"x"}]}',
        b'{"keys":[],"more":1}',
        b"[" * 100_000,
        b'{"keys":[{"name":"x","sha256":"plain","scopes":["chat"],"created":"2026-01-01T00:00:00Z"}]}',
        b'{"keys":[{"name":"x","sha256":"%b","scopes":["root"],"created":"2026-01-01T00:00:00Z"}]}'
        % (b"a" * 64),
    ],
)
def test_a_broken_file_lets_nobody_in(file: KeyFile, text: bytes) -> None:
    token = add(file)
    whole = file.file.read_bytes()
    file.file.write_bytes(text)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"keys\.json"):
            file.find(token)
    file.file.write_bytes(whole)
    assert file.find(token) is not None


def test_names_are_unique_and_plain(file: KeyFile) -> None:
    add(file)
    with pytest.raises(BadRequest, match="already"):
        add(file)
    for name in ("", "a b", "x" * 65, "../x", "a\nb"):
        with pytest.raises(BadRequest, match="no name"):
            add(file, name)
    with pytest.raises(NotFound, match="`other`"):
        file.remove("other")


def test_two_commands_at_once_forget_no_key(file: KeyFile) -> None:
    names = [f"k{number}" for number in range(12)]
    threads = [threading.Thread(target=add, args=(KeyFile(file.file), name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in file.all()) == sorted(names)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_this_machine_no_key_is_needed(host: str, tmp_path: Path) -> None:
    keys.need(Settings.load(host=host, data_dir=tmp_path))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "nas.local", "::ffff:127.0.0.1"])
def test_beyond_it_a_start_without_keys_ends_with_the_command_that_makes_one(
    host: str, tmp_path: Path
) -> None:
    settings = Settings.load(host=host, data_dir=tmp_path)
    with pytest.raises(BadSettings, match="nats-mlx keys new NAME"):
        keys.need(settings)
    add(KeyFile(keys.path(settings)))
    keys.need(settings)


def test_the_process_says_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NATS_MLX_BRIDGE_HOST", "0.0.0.0")
    monkeypatch.setenv("NATS_MLX_DATA_DIR", str(tmp_path))
    assert app.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nats-mlx keys new" in line


class Command:
    """`nats-mlx keys ...` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, *arguments: str, name: str = "keys") -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["nats-mlx", name, *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = self._capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    for name in [name for name in os.environ if name.startswith("NATS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NATS_MLX_DATA_DIR", str(tmp_path))
    return Command(monkeypatch, capsys)


def test_the_command_makes_lists_and_revokes(command: Command, tmp_path: Path) -> None:
    code, out, err = command.run("new", "nas", "--scope", "chat", "--scope", "batch", "--rpm", "60")
    assert (code, "not shown again" in err) == (0, True)
    token = out.strip()
    assert KeyFile(tmp_path / "keys.json").find(token) is not None
    code, out, _ = command.run("ls")
    assert [cell in out for cell in ("nas", "chat, batch", "60", token)] == [True, True, True, False]
    code, out, _ = command.run("ls", "--json")
    (shown,) = map(json.loads, out.splitlines())
    assert (shown["name"], shown["scopes"]) == ("nas", ["chat", "batch"])
    assert (shown["rpm"], shown["tpm"], shown["concurrent"]) == (60, 200_000, 32)
    assert "sha256" not in shown
    assert command.run("new", "nas", "--scope", "chat")[0] == 1
    assert command.run("new", "other", "--scope", "root")[0] == 2
    assert command.run("new", "other", "--scope", "chat", "--rpm", "-1")[0] == 2
    assert (
        command.run("new", "free", "--scope", "chat", "--rpm", "0", "--tpm", "0", "--concurrent", "0")[0] == 0
    )
    free = KeyFile(tmp_path / "keys.json").all()[-1]
    assert (free.rpm, free.tpm, free.concurrent) == (None, None, None)
    assert command.run("rm", "nas")[:2] == (0, "nas: revoked\n")
    assert KeyFile(tmp_path / "keys.json").find(token) is None
    code, _, err = command.run("rm", "nas")
    assert (code, "`nas`" in err) == (1, True)


def test_up_does_not_begin_what_its_bridge_would_refuse(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_MLX_BRIDGE_HOST", "0.0.0.0")
    code, _, err = command.run("--model", "starter", "--port", "0", "--nats-port", "0", name="up")
    assert (code, len(err.splitlines()), "nats-mlx keys new" in err) == (2, 1, True)
