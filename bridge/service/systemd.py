"""Linux: a user unit of systemd. Source: systemd.service(5), systemd.exec(5), systemctl(1)."""

from __future__ import annotations

import getpass
from pathlib import Path

import platformdirs

from bridge.service import manager
from bridge.service.manager import State
from bridge.service.task import AGAIN_IN, ENDS_IN, FINAL, Name, Task
from schemas.errors import Unavailable

_UNIT = """\
[Unit]
Description=nats-mlx {name}
# For ever: a server or a network that is away comes back.
StartLimitIntervalSec=0

[Service]
ExecStart={command}
{environment}
WorkingDirectory={folder}
Restart=on-failure
RestartSec={again}
# Wrong settings: trying again would say the same.
RestartPreventExitStatus={final}
# `up` ends its own processes in order.
KillMode=mixed
TimeoutStopSec={ends}

[Install]
WantedBy=default.target
"""


def unit(task: Task) -> str:
    """The unit's text."""
    return _UNIT.format(
        name=task.name,
        command=" ".join(_quoted(one).replace("$", "$$") for one in task.command),
        environment="\n".join(
            f"Environment={_quoted(f'{key}={value}')}" for key, value in sorted(task.env.items())
        ),
        folder=str(task.folder).replace("%", "%%"),
        again=AGAIN_IN,
        ends=ENDS_IN,
        final=" ".join(map(str, FINAL)),
    )


def _quoted(text: str) -> str:
    """One word, whatever is in it."""
    if "\n" in text:
        raise Unavailable(
            "A setting with a line break cannot be given to systemd; put it into the settings file."
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


class Systemd:
    """Units of the person's own manager, which begins with their first login, or at boot where they linger."""

    def file(self, name: Name) -> Path:
        return platformdirs.user_config_path() / "systemd" / "user" / _unit_name(name)

    def install(self, task: Task) -> None:
        task.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _do("is-system-running")  # before anything is written
        manager.write(self.file(task.name), unit(task))
        _do("daemon-reload")
        _do("enable", _unit_name(task.name))
        _do("restart", _unit_name(task.name))

    def uninstall(self, name: Name) -> bool:
        if not self.file(name).exists():
            return False
        _do("disable", "--now", _unit_name(name))
        self.file(name).unlink(missing_ok=True)
        _do("daemon-reload")
        return True

    def state(self, name: Name) -> State:
        asked = "--property=ActiveState,MainPID,ExecMainStatus,ExecMainExitTimestampMonotonic"
        said = _do("show", _unit_name(name), asked)
        found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        pid = int(found.get("MainPID", "0"))
        ended = found.get("ExecMainExitTimestampMonotonic", "0") not in ("", "0")
        return State(
            name=name,
            installed=self.file(name).exists(),
            running=found.get("ActiveState") in ("active", "reloading", "deactivating") and pid > 0,
            pid=pid or None,
            exit_code=int(found.get("ExecMainStatus", "0")) if ended else None,
            file=str(self.file(name)),
        )


def _unit_name(name: Name) -> str:
    return f"nats-mlx-{name}.service"


def _do(verb: str, *arguments: str) -> str:
    """What systemctl says."""
    said = manager.ask("systemctl", "--user", verb, *arguments)
    if said.code and (said.text in ("offline", "unknown") or "connect to" in said.text):
        raise Unavailable(
            f"systemd does not look after you here ({said.text.splitlines()[0]}): log in on the machine itself, or run "
            f"`sudo loginctl enable-linger {getpass.getuser()}` and log in again."
        )
    # Where units of somebody else's have failed the system is `degraded`, which is a code of its own and no refusal.
    if said.code and verb != "is-system-running":
        raise Unavailable(f"systemd refuses `systemctl --user {verb}`: {said.text or said.code}.")
    return said.text
