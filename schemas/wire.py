"""The size of a message on the wire: nats-py counts the payload alone, and the server's limits the headers too."""

from __future__ import annotations

from collections.abc import Mapping

# What the protocol adds to each header (`: ` and a line's end), and to the block of them: a version, an empty line.
_HEADER, _BLOCK = 4, 12


def size(payload: bytes, headers: Mapping[str, str]) -> int:
    """Bytes. A message over the server's `max_payload` closes the connection for good."""
    return len(payload) + header_size(headers)


def header_size(headers: Mapping[str, str]) -> int:
    """Bytes of the block that they make; without any there is none."""
    lines = sum(len(name) + len(value.encode()) + _HEADER for name, value in headers.items())
    return lines + _BLOCK if lines else 0
