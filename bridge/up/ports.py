"""Addresses are chosen before anything starts, so that a taken one is told at once and a restart keeps it."""

from __future__ import annotations

import socket

from schemas.errors import Unavailable


def choose(*wanted: tuple[str, int, str]) -> list[int]:
    """A free port for each (host, port, option); port 0 takes any. They are held together: all differ."""
    held: list[socket.socket] = []
    try:
        for host, port, option in wanted:
            held.append(_bind(host, port, option))
        return [sock.getsockname()[1] for sock in held]
    finally:
        for sock in held:
            sock.close()


def _bind(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # As the servers do: a port whose last connections still linger is free.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1)
    except (OSError, OverflowError) as error:
        sock.close()
        reason = getattr(error, "strerror", None) or "not a port"
        raise Unavailable(
            f"Port {port} on {host} cannot be used ({reason}): "
            f"stop what uses it, or choose another with {option} (0 takes any free port)."
        ) from None
    return sock
