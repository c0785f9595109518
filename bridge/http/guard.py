"""Whether a key is needed, and whose a token is."""

from __future__ import annotations

from bridge import keys
from bridge.keys import Key, KeyFile
from bridge.settings import Settings
from schemas.errors import Unauthorized


class Guard:
    """`strict`: also while there is no key at all."""

    def __init__(self, file: KeyFile, strict: bool) -> None:
        self._file = file
        self._strict = strict

    def required(self) -> bool:
        """Once there was a key, for good: revoking the last one must not open the door."""
        self._strict = self._strict or bool(self._file.all())
        return self._strict

    def find(self, token: str) -> Key:
        found = self._file.find(token)
        if found is None:
            raise Unauthorized("This API key is not known here; it may have been revoked.")
        return found


def guard(settings: Settings) -> tuple[Guard, KeyFile]:
    file = KeyFile(keys.path(settings))
    return Guard(file, strict=not keys.is_loopback(settings.host)), file
