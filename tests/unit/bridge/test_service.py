"""What launchd and systemd are given and told. They themselves are stand-ins here, but for the check of the unit."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli import app
from bridge.service import launchd, systemd
from bridge.service.launchd import Launchd
from bridge.service.systemd import Systemd
from bridge.service.task import Task, task
from schemas.errors import BadSettings, Unavailable
from tests.needed import unavailable

ODD = r'p"a\s $HOME %h #'

# Knows one service, writes down what it is asked, and says of it what the real one does.
LAUNCHCTL = """
state={state}
case "$1" in
print) test -e $state || exit 113
  printf 'gui/501/nats-mlx.up = {{\\n\\tstate = running\\n\\tpid = 4711\\n\\tlast exit code = 0\\n}}\\n';;
bootstrap) touch $state;;
bootout) rm $state;;
esac
"""
SYSTEMCTL = """
case "$2" in
show) printf 'MainPID=4711\\nExecMainStatus=1\\nActiveState=active\\nExecMainExitTimestampMonotonic=5\\n';;
is-system-running) echo degraded; exit 1;;
esac
"""
OFFLINE = "echo offline; exit 1"


class Desk:
    """A person's home, and the commands of a manager that were called."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.programs = home / "bin"
        self.programs.mkdir()
        self._calls = home / "calls"

    def stand_in(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {shlex.quote(str(self._calls))}\n{script}\n')
        file.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith(("NATS_", "XDG_", "HF_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("NATS_MLX_DATA_DIR", str(tmp_path / "data"))
    return Desk(tmp_path)


def some(desk: Desk, **env: str) -> Task:
    log = desk.home / "data" / "logs" / "up.log"
    return Task("up", [sys.executable, "-P", "-m", "bridge.cli", "up"], env, desk.home, log)


class TestTask:
    def test_the_shells_settings_come_along(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NATS_MLX_LOG_LEVEL", "debug")
        made = task("bridge", {**os.environ, "HF_HOME": "/models", "EDITOR": "vi"}, [])
        data = desk.home / "data"
        assert made.command == [sys.executable, "-P", "-m", "bridge.app"]
        assert made.env == {
            "HF_HOME": "/models", "NATS_MLX_LOG_LEVEL": "debug", "NATS_MLX_DATA_DIR": str(data),
            "NATS_MLX_LOG_FILE": str(data / "logs" / "bridge.log"),
        }  # fmt: skip

    def test_wrong_settings_are_told_before_anything_is_installed(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert desk.home
        monkeypatch.setenv("NATS_MLX_WORKER_SLOTS", "none")
        with pytest.raises(BadSettings, match="NATS_MLX_WORKER_SLOTS"):
            task("worker", os.environ, [])


class TestLaunchd:
    @pytest.fixture
    def manager(self, desk: Desk) -> Launchd:
        desk.stand_in("launchctl", LAUNCHCTL.format(state=desk.home / "loaded"))
        return Launchd()

    def test_what_is_written_is_what_launchd_reads(self, desk: Desk, manager: Launchd) -> None:
        wanted = some(desk, PASSWORD=ODD)
        manager.install(wanted)
        file = desk.home / "Library" / "LaunchAgents" / "nats-mlx.up.plist"
        assert file.stat().st_mode & 0o777 == 0o600
        found = plistlib.loads(file.read_bytes())
        assert found == launchd.plist(wanted)
        assert found["Label"] == file.stem
        assert found["ProgramArguments"] == wanted.command
        assert found["EnvironmentVariables"] == {"PASSWORD": ODD}
        assert found["RunAtLoad"] is True
        assert found["KeepAlive"] == {"SuccessfulExit": False}

    def test_installed_twice_it_is_ended_and_begun_again(self, desk: Desk, manager: Launchd) -> None:
        target = f"gui/{os.getuid()}/nats-mlx.up"
        begun = [f"launchctl enable {target}", f"launchctl bootstrap gui/{os.getuid()} {manager.file('up')}"]
        manager.install(some(desk))
        assert desk.calls == [f"launchctl print {target}", *begun]
        manager.install(some(desk))
        ended = [f"launchctl print {target}", f"launchctl bootout {target}", f"launchctl print {target}"]
        assert desk.calls[3:] == [*ended, *begun]

    def test_its_state(self, desk: Desk, manager: Launchd) -> None:
        assert not manager.state("up").installed
        manager.install(some(desk))
        state = manager.state("up")
        assert (state.installed, state.running, state.pid, state.exit_code) == (True, True, 4711, 0)

    def test_removed_it_is_gone(self, desk: Desk, manager: Launchd) -> None:
        manager.install(some(desk))
        assert manager.uninstall("up")
        assert not manager.file("up").exists()
        assert not manager.uninstall("up")
        assert not (desk.home / "loaded").exists()

    def test_what_no_plist_can_hold_is_refused(self, desk: Desk, manager: Launchd) -> None:
        with pytest.raises(Unavailable, match="control character"):
            manager.install(some(desk, PASSWORD="a\x01b"))
        assert not manager.file("up").exists()

    def test_a_refusal_says_what_to_do(self, desk: Desk) -> None:
        desk.stand_in(
            "launchctl", "test $1 = print && exit 113; echo 'Bootstrap failed: 5: Input/output error'; exit 5"
        )
        with pytest.raises(Unavailable, match=r"Bootstrap failed.*log in at the Mac's own screen"):
            Launchd().install(some(desk))


class TestSystemd:
    @pytest.fixture
    def manager(self, desk: Desk) -> Systemd:
        desk.stand_in("systemctl", SYSTEMCTL)
        return Systemd()

    def test_the_real_systemd_takes_the_unit(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        if shutil.which("systemd-analyze") is None:
            unavailable("systemd-analyze is not installed")
        desk.home.chmod(0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(desk.home))
        file = desk.home / "nats-mlx-up.service"
        file.write_text(systemd.unit(some(desk, PASSWORD=ODD)))
        done = subprocess.run(
            ["systemd-analyze", "--user", "verify", str(file)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_each_value_is_one_word(self, desk: Desk) -> None:
        text = systemd.unit(some(desk, PASSWORD=ODD))
        assert r'Environment="PASSWORD=p\"a\\s $HOME %%h #"' in text.splitlines()
        with pytest.raises(Unavailable, match="line break"):
            systemd.unit(some(desk, PASSWORD="a\nExecStartPre=/bin/false"))

    def test_installed_it_runs_and_is_the_owners_alone(self, desk: Desk, manager: Systemd) -> None:
        manager.install(some(desk))
        assert manager.file("up") == desk.home / ".config/systemd/user/nats-mlx-up.service"
        assert manager.file("up").stat().st_mode & 0o777 == 0o600
        unit = "nats-mlx-up.service"
        asked = ["is-system-running", "daemon-reload", f"enable {unit}", f"restart {unit}"]
        assert desk.calls == [f"systemctl --user {one}" for one in asked]

    def test_its_state(self, desk: Desk, manager: Systemd) -> None:
        manager.install(some(desk))
        state = manager.state("up")
        assert (state.installed, state.running, state.pid, state.exit_code) == (True, True, 4711, 1)

    def test_removed_it_is_gone(self, desk: Desk, manager: Systemd) -> None:
        manager.install(some(desk))
        assert manager.uninstall("up")
        assert desk.calls[-2:] == [
            "systemctl --user disable --now nats-mlx-up.service",
            "systemctl --user daemon-reload",
        ]
        assert not manager.uninstall("up")

    def test_where_nobody_is_logged_in_nothing_is_written(self, desk: Desk) -> None:
        desk.stand_in("systemctl", OFFLINE)
        with pytest.raises(Unavailable, match="enable-linger"):
            Systemd().install(some(desk))
        assert not Systemd().file("up").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="asks systemd")
class TestCommand:
    def test_from_nothing_to_nothing(self, desk: Desk) -> None:
        desk.stand_in("systemctl", SYSTEMCTL)
        run = CliRunner().invoke
        assert "none is installed" in run(app, ["service", "status"]).stderr
        installed = run(app, ["service", "install", "bridge"])
        assert (installed.exit_code, "enable-linger" in installed.stderr) == (0, True)
        assert "bridge: running, pid 4711" in run(app, ["service", "status"]).stdout
        assert run(app, ["service", "uninstall", "bridge"]).exit_code == 0
        with pytest.raises(Unavailable, match="There is no service `bridge`"):
            run(app, ["service", "uninstall", "bridge"], catch_exceptions=False)

    def test_one_that_is_installed_and_does_not_run_is_a_failure(self, desk: Desk) -> None:
        desk.stand_in("systemctl", 'test "$2" = show && echo ActiveState=failed; exit 0')
        run = CliRunner().invoke
        run(app, ["service", "install", "bridge"])
        found = run(app, ["service", "status"])
        assert (found.exit_code, "installed, not running" in found.stdout) == (1, True)
