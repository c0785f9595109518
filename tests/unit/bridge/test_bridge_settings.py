"""Environment, then the file, then defaults; whatever nobody knows stops the start with one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from bridge.settings import Settings
from schemas.errors import BadSettings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("NATS_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda _: tmp_path / "config")


def _write(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    path = folder / "my.toml"
    path.write_text(text)
    monkeypatch.setenv("NATS_MLX_CONFIG", str(path))


def test_the_defaults_are_local() -> None:
    found = Settings.load()
    assert (found.nats_url, found.host, found.port) == ("nats://127.0.0.1:4222", "127.0.0.1", 8787)
    assert found.password is None


def test_environment_wins_over_file_over_default_and_an_argument_over_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = 'nats_url = "nats://file"\nlog_level = "debug"\n[bridge]\nport = 1\nhost = "::1"\n'
    text += "[worker]\nslots = 3\n"
    _write(monkeypatch, tmp_path, text)
    monkeypatch.setenv("NATS_URL", "nats://env")
    monkeypatch.setenv("NATS_MLX_BRIDGE_PORT", "2")
    monkeypatch.setenv("NATS_MLX_WORKER_SLOTS", "whatever: not ours")
    found = Settings.load()
    assert (found.nats_url, found.log_level, found.port, found.host) == ("nats://env", "debug", 2, "::1")
    assert Settings.load(port=3, nats_url="nats://arg").port == 3
    assert Settings.load(port=3, nats_url="nats://arg").nats_url == "nats://arg"


def test_the_file_at_its_usual_place_is_read(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[bridge]\nport = 4\n")
    assert Settings.load().port == 4


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", "")
    assert Settings.load().nats_url == "nats://127.0.0.1:4222"


def test_the_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_USER", "bridge")
    monkeypatch.setenv("NATS_PASSWORD", "s3cret")
    found = Settings.load()
    assert found.password == "s3cret"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NATS_MLX_BRIDGE_PORT", "99999", "NATS_MLX_BRIDGE_PORT"),
        ("NATS_MLX_BRIDGE_PORT", "x", "NATS_MLX_BRIDGE_PORT"),
        ("NATS_MLX_BRIDGE_MAX_BODY", "2000000", "NATS_MLX_BRIDGE_MAX_BODY"),
        ("NATS_MLX_LOG_LEVEL", "loud", "NATS_MLX_LOG_LEVEL"),
        ("NATS_MLX_BRIDGE_PROT", "1", "NATS_MLX_BRIDGE_PROT"),
        ("NATS_MLX_BRIDGE_NATS_URL", "1", "NATS_MLX_BRIDGE_NATS_URL"),
        ("NATS_MLX_MODEL", "1", "NATS_MLX_MODEL"),
        ("NATS_PASSWORD", "s3cret", "NATS_USER"),
        ("NATS_MLX_CONFIG", "/not/there.toml", "/not/there.toml"),
    ],
)
def test_a_mistake_in_the_environment_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        Settings.load()
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("color = 1", "`color`"),
        ("port = 1", "`port`"),
        ("[bridge]\nprot = 1", "`prot`"),
        ("[bridge]\nnats_url = 'x'", "`nats_url`"),
        ("[bridge]\nport = 'x'", "NATS_MLX_BRIDGE_PORT"),
        ("nats_url = 5", "NATS_URL"),
        ("a = [", "TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    _write(monkeypatch, tmp_path, text)
    with pytest.raises(BadSettings) as caught:
        Settings.load()
    assert said in caught.value.message
    assert "\n" not in caught.value.message
