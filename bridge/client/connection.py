"""The house's way to connect to NATS, and what a caller must know before it sends."""

from __future__ import annotations

from schemas.runtime.connection import Absent, Refused, connect, require

__all__ = ["Absent", "Refused", "connect", "require"]
