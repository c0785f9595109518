"""The size of a message on the wire: nats-py counts the payload alone, and the server's limit the headers too."""

from __future__ import annotations

from collections.abc import Mapping

# What the protocol adds to each header line (`: ` and a line's end), and to the block of them.
_HEADER_LINE, _HEADER_BLOCK = 4, 14


def size(payload: bytes, headers: Mapping[str, str]) -> int:
    """Bytes. A message over the server's `max_payload` closes the connection for good."""
    lines = sum(len(name) + len(value.encode()) + _HEADER_LINE for name, value in headers.items())
    return len(payload) + lines + _HEADER_BLOCK
