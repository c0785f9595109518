"""Which models' weights may be in memory together, and which go first. Pure: no MLX, no clock of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from schemas.errors import Unavailable


@dataclass(slots=True)
class _Resident:
    bytes: int
    used: float


class Residency:
    """The books of what is loaded; it loads and unloads nothing itself."""

    def __init__(self, limit: int, idle: float) -> None:
        """`limit` is in bytes of weights and of all KV state; `idle` in seconds, 0 for never."""
        self._limit = limit
        self._idle = idle
        self._residents: dict[str, _Resident] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._residents)

    @property
    def bytes(self) -> int:
        return sum(resident.bytes for resident in self._residents.values())

    def room_for(self, name: str, size: int, kv_reserved: int, busy: Collection[str]) -> list[str] | None:
        """Models to unload, least recently used first, so that `name` fits; None: not while others have work.

        Raises Unavailable when there is nothing to wait for: it would not fit with all others gone.
        """
        if name in self._residents:
            return []
        free = self._limit - kv_reserved - self.bytes
        going: list[str] = []
        for other in self._oldest_first(busy):
            if free >= size:
                break
            going.append(other)
            free += self._residents[other].bytes
        if free >= size:
            return going
        if size > self._limit or self.names.isdisjoint(busy):
            raise self._too_large(name, size, kv_reserved)
        return None

    def left(self, kv_reserved: int, coming: int = 0) -> int:
        """Bytes that neither weights, those `coming` included, nor KV state take."""
        return max(0, self._limit - kv_reserved - self.bytes - coming)

    def loaded(self, name: str, size: int, now: float) -> None:
        self._residents[name] = _Resident(size, now)

    def touched(self, name: str, now: float) -> None:
        """It has, or had, work in this moment."""
        if name in self._residents:
            self._residents[name].used = now

    def unloaded(self, name: str) -> None:
        self._residents.pop(name, None)

    def idle(self, now: float, busy: Collection[str]) -> list[str]:
        """Models that nobody has used for so long that they go."""
        if not self._idle:
            return []
        return [name for name in self._oldest_first(busy) if now - self._residents[name].used >= self._idle]

    def _oldest_first(self, busy: Collection[str]) -> list[str]:
        free = [name for name in self._residents if name not in busy]
        return sorted(free, key=lambda name: self._residents[name].used)

    def _too_large(self, name: str, size: int, kv_reserved: int) -> Unavailable:
        kv = f" beside {_gb(kv_reserved)} of KV state" if kv_reserved else ""
        sentence = (
            f"The model `{name}` needs {_gb(size)}{kv}, the worker's memory_limit is {_gb(self._limit)}: "
            "raise it or choose a smaller model."
        )
        return Unavailable(sentence, param="model", code="model_too_large")


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
