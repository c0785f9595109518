"""The house's way to connect to NATS, and what a caller must know before it sends."""

from __future__ import annotations

from nats.aio.client import Client

from schemas.errors import Unavailable
from schemas.runtime.connection import Absent, Refused, connect

__all__ = ["Absent", "Refused", "connect", "require"]


def require(client: Client) -> None:
    """Raises Unavailable while there is no connection: nats-py would keep the message and wait."""
    if not client.is_connected:
        raise Unavailable("There is no connection to NATS at the moment; try again in a few seconds.")
