"""macOS: a launchd agent of the person who installs it. Source: launchd.plist(5), launchctl(1)."""

from __future__ import annotations

import os
import plistlib
import re
import time
from pathlib import Path
from typing import Any

from bridge.service import manager
from bridge.service.manager import State
from bridge.service.task import AGAIN_IN, ENDS_IN, Name, Task
from schemas.errors import Unavailable

_LOOK_EVERY = 0.2


def label(name: Name) -> str:
    return f"nats-mlx.{name}"


def plist(task: Task) -> dict[str, Any]:
    """The agent as launchd reads it.

    launchd has no list of exit codes that are final: a wrong setting is tried again, and works once it is mended.
    """
    return {
        "Label": label(task.name),
        "ProgramArguments": task.command,
        "EnvironmentVariables": task.env,
        "WorkingDirectory": str(task.folder),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": AGAIN_IN,
        "ExitTimeOut": ENDS_IN,
        # Else macOS holds a background process's CPU and disk back.
        "ProcessType": "Interactive",
        "StandardOutPath": "/dev/null",
        # Only what is said before the log is open; the log's own bound holds for this file, too.
        "StandardErrorPath": str(task.log),
    }


class Launchd:
    """Agents in the person's own domain, which begins with the login at the screen."""

    def file(self, name: Name) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{label(name)}.plist"

    def install(self, task: Task) -> None:
        try:
            text = plistlib.dumps(plist(task)).decode()
        except ValueError:
            raise Unavailable(
                "A setting with a control character cannot be given to launchd; put it into the settings file."
            ) from None
        task.log.parent.mkdir(parents=True, exist_ok=True)
        self._end(task.name)
        file = self.file(task.name)
        manager.write(file, text)
        self._do("enable", self._target(task.name))  # somebody may have disabled it
        self._do("bootstrap", _domain(), str(file))

    def uninstall(self, name: Name) -> bool:
        self._end(name)
        there = self.file(name).exists()
        self.file(name).unlink(missing_ok=True)
        return there

    def state(self, name: Name) -> State:
        file = self.file(name)
        said = manager.ask("launchctl", "print", self._target(name))
        found = dict(re.findall(r"^\s*(state|pid|last exit code) = (\S+)", said.text, re.MULTILINE))
        return State(
            name=name,
            installed=file.exists() and said.code == 0,
            running=said.code == 0 and found.get("state") == "running",
            pid=_number(found.get("pid")),
            exit_code=_number(found.get("last exit code")),
            file=str(file),
        )

    def _end(self, name: Name) -> None:
        """Until launchd has forgotten it: before, it would refuse another of this name."""
        target = self._target(name)
        if not self._loaded(target):
            return
        self._do("bootout", target)
        deadline = time.monotonic() + ENDS_IN
        while self._loaded(target):
            if time.monotonic() > deadline:
                raise Unavailable(f"launchd does not end {target}; try again in a minute.")
            time.sleep(_LOOK_EVERY)

    def _loaded(self, target: str) -> bool:
        return manager.ask("launchctl", "print", target).code == 0

    def _do(self, verb: str, *arguments: str) -> None:
        said = manager.ask("launchctl", verb, *arguments)
        # 36: it is on its way already.
        if said.code not in (0, 36):
            raise Unavailable(
                f"launchd refuses `launchctl {verb}` ({said.text or said.code}): "
                "log in at the Mac's own screen once, then try again."
            )

    def _target(self, name: Name) -> str:
        return f"{_domain()}/{label(name)}"


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() else None
