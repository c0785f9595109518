"""The passwords of the four users: made once, kept in the data folder, given to whoever needs one."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Literal

from bridge import private
from schemas.errors import Unavailable

User = Literal["publisher", "worker", "bridge", "operator"]
USERS: tuple[User, ...] = ("publisher", "worker", "bridge", "operator")

_HASH = re.compile(r"\$2[abxy]\$\d\d\$.{53}")
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


class Credentials:
    """`NAME=value` lines; what is there already is kept, whoever wrote it."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def password(self, user: User) -> str:
        """The plain password. Raises Unavailable when there is none to log in with."""
        value = self._values.get(variable(user))
        if not value:
            raise Unavailable(f"credentials.env has no {variable(user)}: `nats-mlx up` adds it at its start.")
        if _HASH.fullmatch(value):
            raise Unavailable(
                f"{variable(user)} in credentials.env is a bcrypt hash, which only the server can use: "
                f"set NATS_USER={user} and NATS_PASSWORD for this command."
            )
        return value

    def server_env(self) -> dict[str, str]:
        """For nats.conf. The server parses each value as configuration, hence the quotes inside."""
        return {variable(user): _quoted(self._values[variable(user)]) for user in USERS}


def variable(user: User) -> str:
    return f"{user.upper()}_PASSWORD"


def path(data_dir: Path) -> Path:
    return data_dir / "credentials.env"


def read(data_dir: Path) -> Credentials:
    """What stands in the file. Raises OSError when there is none."""
    return Credentials(_parse(path(data_dir).read_text(encoding="utf-8"), path(data_dir)))


def ensure(data_dir: Path) -> Credentials:
    """The file's passwords, after making those that are missing."""
    file = path(data_dir)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    values = _parse(text, file)
    missing = {variable(user): secrets.token_urlsafe(24) for user in USERS if not values.get(variable(user))}
    if missing:
        if text and not text.endswith("\n"):
            text += "\n"
        private.write(file, text + "".join(f"{name}={value}\n" for name, value in missing.items()))
    elif file.stat().st_mode & 0o077:
        file.chmod(0o600)
    return Credentials(values | missing)


def _parse(text: str, file: Path) -> dict[str, str]:
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise Unavailable(f"{file}:{number} is not a NAME=value line: correct it or remove it.")
        values[match["name"]] = _unquoted(match["value"].strip())
    return values


def _unquoted(value: str) -> str:
    """Without the quotes that a shell, or someone who sources this file, would want."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
