"""Dockerfile and compose.yaml without an engine: the same steps and commands, below a folder instead of a root.

What only an engine does is not tried: its base image, its users, its networks, its read-only file systems.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

ROOT = Path(__file__).parents[3]
DOCKERFILE, COMPOSE, IGNORED = ROOT / "Dockerfile", ROOT / "compose.yaml", ROOT / ".dockerignore"
_VARIABLE = re.compile(r"\$\{(\w+):([?-])([^}]*)\}")


class Step(NamedTuple):
    instruction: str
    rest: str


def steps() -> Iterator[Step]:
    for line in DOCKERFILE.read_text("utf-8").replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield Step(*line.split(maxsplit=1))


@dataclass
class Image:
    """What the steps make below `root`, where the folders of all stages lie beside each other."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    work: str = "/"

    def build(self) -> None:
        for step in steps():
            getattr(self, f"_{step.instruction.lower()}")(step.rest)

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def size(self) -> int:
        return sum(file.lstat().st_size for file in self.path("/app").rglob("*") if not file.is_dir())

    def packages(self) -> set[str]:
        found = self.path("/app").glob("lib/python*/site-packages/*.dist-info")
        return {file.name.partition("-")[0] for file in found}

    def _from(self, rest: str) -> None:
        self.work = "/"

    def _workdir(self, rest: str) -> None:
        self.work = rest
        self.path(rest).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        options = [word for word in rest.split() if word.startswith("--")]
        *sources, to = [word for word in rest.split() if not word.startswith("--")]
        if any(option.startswith("--from") for option in options):
            # Of one place for both stages: a venv holds its own path.
            assert sources == [to] and self.path(to).is_dir()
            return
        target = self.path(os.path.join(self.work, to))
        for source in sources:
            # What the engine is not sent cannot be copied.
            assert f"!{source}" in IGNORED.read_text().splitlines()
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, target)

    def _run(self, rest: str) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NATS"))}
        done = subprocess.run(
            ["sh", "-ec", re.sub(r"(?<![\w.])/(?=dist\b|app\b|data\b)", f"{self.root}/", rest)],
            cwd=self.path(self.work),
            env=env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{rest}\n{done.stdout}{done.stderr}"

    def _env(self, rest: str) -> None:
        self.env |= dict(word.split("=", 1) for word in shlex.split(rest))

    def _user(self, rest: str) -> None:
        self.user = rest

    def _expose(self, rest: str) -> None:
        """Says something to people alone."""

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = msgspec.json.decode(rest, type=list[str])

    def _cmd(self, rest: str) -> None:
        self.command = msgspec.json.decode(rest, type=list[str])


class Unset(Exception):
    """A variable that compose.yaml needs."""


def resolved(variables: Mapping[str, str]) -> str:
    """compose.yaml with its variables put in, as compose does it."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise Unset(f"{name} {rest}")
        return rest

    text = _VARIABLE.sub(value, COMPOSE.read_text("utf-8"))
    assert "$" not in text
    return text


def variables() -> set[str]:
    return {name for name, _, _ in _VARIABLE.findall(COMPOSE.read_text("utf-8"))}


@dataclass
class Container:
    """A service of compose.yaml as a process: its command, environment and volumes, on ports that are free here.

    `here` says what takes the place of what a container has for itself: paths and addresses.
    """

    image: Image
    service: dict[str, Any]
    here: dict[str, str]

    @classmethod
    def of(cls, image: Image, text: str, name: str, here: dict[str, str]) -> Container:
        return cls(image, yaml.safe_load(text)["services"][name], here)

    def command(self, *instead: str) -> list[str]:
        entrypoint = self.service.get("entrypoint", self.image.entrypoint)
        return [self._mapped(word) for word in [*entrypoint, *(instead or self.service["command"])]]

    def healthy(self) -> bool:
        kind, *command = self.service["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            [self._mapped(word) for word in command], env=self.env, capture_output=True, check=False
        )
        return done.returncode == 0

    @property
    def env(self) -> dict[str, str]:
        given = self.image.env | self.service.get("environment", {})
        return {name: self._mapped(value) for name, value in given.items()}

    def _mapped(self, text: str) -> str:
        pattern = "|".join(re.escape(inside) for inside in sorted(self.here, key=len, reverse=True))
        return re.sub(rf"(?<![\w.])(?:{pattern})(?!\w)", lambda found: self.here[found[0]], text)
