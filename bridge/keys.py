"""API keys of the bridge: a file of hashes, written by `nats-mlx keys` and read again whenever it changes."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bridge import private
from bridge.settings import Settings
from schemas.codec import encode
from schemas.errors import BadRequest, BadSettings, NotFound, Unavailable
from schemas.runtime import log

_log = log.get("bridge.keys")


class Scope(StrEnum):
    """What a key is for."""

    CHAT = "chat"
    BATCH = "batch"
    ADMIN = "admin"


_Positive = Annotated[int, Meta(ge=1)]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who may do what, and how much of it: requests and tokens a minute, requests at a time."""

    name: _Name
    sha256: _Sha256
    scopes: tuple[Scope, ...]
    created: dt.datetime
    rpm: _Positive | None = None
    tpm: _Positive | None = None
    concurrent: _Positive | None = None


class _Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[Key]


def path(settings: Settings) -> Path:
    return settings.keys_file or settings.data_dir / "keys.json"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def need(settings: Settings) -> None:
    """Raises BadSettings where strangers could come in and nobody has a key."""
    if not is_loopback(settings.host) and not KeyFile(path(settings)).all():
        raise BadSettings(
            f"At {settings.host} the bridge is open to other machines, and there is no API key in "
            f"{path(settings)}: `nats-mlx keys new NAME --scope chat` makes one."
        )


def make(name: str, scopes: list[Scope], **limits: int | None) -> tuple[str, Key]:
    """A new token, which is nowhere kept, and its key."""
    token = f"nmx_{secrets.token_urlsafe(32)}"
    fields = {"name": name, "sha256": _digest(token), "scopes": tuple(dict.fromkeys(scopes))}
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        return token, msgspec.convert(fields | {"created": now} | limits, Key)
    except msgspec.ValidationError:
        raise BadRequest(f"`{name}` is no name for a key: use 1 to 64 letters, digits or . _ -") from None


class KeyFile:
    """Revoking works at once: each look asks whether the file is still the same one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen: tuple[int, ...] | None = None
        self._keys: list[Key] = []
        self._fault = ""

    def all(self) -> list[Key]:
        """Raises Unavailable for a file that holds something else: better nobody comes in than anybody."""
        found = self._look()
        if found != self._seen:
            self._seen = found
            self._keys, self._fault = [], ""
            if found is not None:
                self._read()
        if self._fault:
            raise Unavailable(
                f"{self.file.name} cannot be read ({self._fault}): correct it or write it anew."
            )
        return self._keys

    def find(self, token: str) -> Key | None:
        """Every key is compared, each in constant time."""
        digest = _digest(token)
        found = None
        for key in self.all():
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found

    def add(self, key: Key) -> None:
        with self._alone():
            if any(one.name == key.name for one in self.all()):
                raise BadRequest(
                    f"There is a key `{key.name}` already: remove it first, or choose another name."
                )
            self._write([*self.all(), key])

    def remove(self, name: str) -> None:
        with self._alone():
            rest = [key for key in self.all() if key.name != name]
            if len(rest) == len(self.all()):
                raise NotFound(f"There is no key `{name}`: `nats-mlx keys ls` lists those that are there.")
            self._write(rest)

    def _look(self) -> tuple[int, ...] | None:
        try:
            status = self.file.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.file.name} cannot be read ({error.strerror}).") from None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> None:
        try:
            self._keys = msgspec.json.decode(self.file.read_bytes(), type=_Contents).keys
        except OSError as error:
            self._fault = error.strerror or "unreadable"
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._fault = "it is no list of keys as `nats-mlx keys` writes it"
        if self._fault:
            _log.error("keys_unreadable", file=str(self.file), reason=self._fault)
        else:
            _log.info("keys_read", names=[key.name for key in self._keys])

    def _write(self, keys: list[Key]) -> None:
        private.write(self.file, msgspec.json.format(encode(_Contents(keys)), indent=2).decode() + "\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at once must not forget each other's key."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.file.with_name(f"{self.file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _digest(token: str) -> str:
    """A plain hash is right: 256 random bits cannot be guessed, and a slow one would only slow each request down."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
