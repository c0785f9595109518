"""The bridge's side of NATS: nothing else in this package imports nats."""

from nats.aio.client import Client

__all__ = ["Client"]
