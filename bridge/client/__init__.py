"""The bridge's side of NATS: nothing else in this package imports nats."""

from schemas.runtime.client import Client

__all__ = ["Client"]
